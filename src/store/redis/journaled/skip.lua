-- Counts on to a number without applying anything: what had it is there, or cannot be brought back as it was.
-- KEYS: the partition's life, its sequence. ARGV: this life, the sequence as it is known, the one to go to, and the epoch of
-- what had that number; or '' when nobody has what lies between: whoever comes with it later is to know that it was not applied.
if redis.call('HGET', KEYS[1], 'open') == ARGV[1] then return 0 end
if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[2], ARGV[3])
if ARGV[4] == '' then redis.call('HSET', KEYS[1], 'gap:' .. ARGV[2], ARGV[3])
elseif tonumber(ARGV[4]) > tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0') then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[4], 'base:' .. ARGV[4], ARGV[2])
end
return 1
