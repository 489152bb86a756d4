-- One instance tells what it has left of a partition that is not open yet in this life of the server; once no instance
-- has anything left, the partition is open, in a new epoch.
-- KEYS: the partition's life, its sequence. ARGV: this life, the instance, what it has, all live instances.
-- What an instance has: `-` nothing at all; else `N T S`: N the next number that it would apply (`inf`: none),
-- T whether it has tried at S, the sequence as it was then, what it does not know the numbers of.
-- Answers: OPEN epoch sequence; or the sequence, and WAIT, or with the lowest number that is waited for (`inf`: none) TRY,
-- when what has no known number has its turn, up to that number, and GAP, when nobody has the one before it.
local call, life = redis.call, KEYS[1]
local sequence = call('GET', KEYS[2]) or '0'
local at, first, tried = tonumber(sequence), math.huge, true
if call('HGET', life, 'open') == ARGV[1] then return { 'OPEN', call('HGET', life, 'epoch'), sequence } end
call('HSET', life, 'of:' .. ARGV[2], ARGV[1] .. ' ' .. ARGV[3])
for i = 4, #ARGV do
  local told = call('HGET', life, 'of:' .. ARGV[i]) or ''
  local now, left = string.match(told, '^(%S+) (.*)$')
  if now ~= ARGV[1] then return { 'WAIT', sequence } end
  if left ~= '-' then
    local want, done, as_of = string.match(left, '^(%S+) (%d) (%d+)$')
    if as_of ~= sequence then return { 'WAIT', sequence } end
    if done == '0' then tried = false end
    if want ~= 'inf' then first = math.min(first, tonumber(want)) end
  end
end
if first <= at + 1 then return { 'WAIT', sequence } end
local waited = first < math.huge and string.format('%.0f', first) or 'inf'
if not tried then return { 'TRY', sequence, waited } end
if first < math.huge then return { 'GAP', sequence, waited } end
for _, field in ipairs(call('HKEYS', life)) do
  if string.sub(field, 1, 3) == 'of:' then call('HDEL', life, field) end
end
-- Of two lives that began with the same survivor each has epochs of its own: what a life is called is random.
local epoch = tonumber(call('HGET', life, 'epoch') or '0') + 1 + (tonumber(string.sub(ARGV[1], 1, 7), 16) or 0)
epoch = string.format('%.0f', epoch)
call('HSET', life, 'open', ARGV[1], 'epoch', epoch, 'base:' .. epoch, sequence)
return { 'OPEN', epoch, sequence }
