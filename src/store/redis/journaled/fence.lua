-- Behind the commit script, which is the function `commit`: applies it only while the partition is open in this life of
-- the server, and numbers what it applies.
-- KEYS, the last two: the partition's life and its sequence. ARGV, the last two: which life the caller means, and the
-- highest number that it knows of: if that is gone, so is more.
local life, sequence = KEYS[#KEYS - 1], KEYS[#KEYS]
local found = redis.call('HMGET', life, 'open', 'epoch')
if found[1] ~= ARGV[#ARGV - 1] then return { 'CLOSED' } end
if tonumber(redis.call('GET', sequence) or '0') < tonumber(ARGV[#ARGV]) then
  redis.call('HDEL', life, 'open')
  return { 'CLOSED' }
end
local answer = commit()
if answer[1] == 'APPLIED' then
  answer[2], answer[3] = found[2], string.format('%.0f', redis.call('INCR', sequence))
end
return answer
