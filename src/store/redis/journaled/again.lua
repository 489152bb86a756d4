-- Behind the commit script, which is the function `commit`: applies what was lost once more, under the number that it
-- had, while the partition is not open yet in this life of the server.
-- KEYS, the last two: the partition's life and its sequence. ARGV, the last three: this life, and of the number the epoch
-- ('' where it is not known: any commit may have had it) and the sequence.
-- Where an epoch was lost as a whole, it begins anew with its first commit that comes again: numbers that an earlier one
-- gave beyond that are given to others, and what had them comes too late.
local life, sequence = KEYS[#KEYS - 1], KEYS[#KEYS]
local epoch, number = ARGV[#ARGV - 1], ARGV[#ARGV]
local found = redis.call('HMGET', life, 'open', 'epoch')
if found[1] == ARGV[#ARGV - 2] then return { 'OPEN' } end
local before = tonumber(found[2] or '0')
if epoch ~= '' and tonumber(epoch) < before then return { 'LATE' } end
local now = redis.call('GET', sequence) or '0'
if tonumber(now) + 1 ~= tonumber(number) then return { 'AT', now } end
local answer = commit()
if answer[1] == 'APPLIED' then
  redis.call('SET', sequence, number)
  if epoch == '' then redis.call('HSET', life, 'gap:' .. now, number)
  elseif tonumber(epoch) > before then redis.call('HSET', life, 'epoch', epoch, 'base:' .. epoch, now) end
end
return answer
