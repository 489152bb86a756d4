-- Behind the commit script, which is the function `commit`: applies what was lost once more, under the number that it
-- had, while the partition is not open yet in this life of the server.
-- KEYS, the last two: the partition's life and its sequence. ARGV, the last two: this life, and the number.
local life, sequence = KEYS[#KEYS - 1], KEYS[#KEYS]
if redis.call('HGET', life, 'open') == ARGV[#ARGV - 1] then return { 'OPEN' } end
local now = tonumber(redis.call('GET', sequence) or '0')
if now + 1 ~= tonumber(ARGV[#ARGV]) then return { 'AT', string.format('%.0f', now) } end
local answer = commit()
if answer[1] == 'APPLIED' then redis.call('SET', sequence, ARGV[#ARGV]) end
return answer
