-- Behind `told`, one commit: look at everything first, then write. A failing script does not roll back, so what can fail is
-- looked at (or, for quantities and logs, tried and put back) before the first write that stays.
-- Each command that a script calls costs about as much as one that is sent, and so does each value handed over: what is
-- usual is looked at and written in as few as there can be.
-- KEYS: one for each receipt, expectation, log and quantity; where there is anything for them, feed and feed counter, and
-- due index; those of writes that are none of these.
-- ARGV, the first: eight counts, then of each write the place of its key, as numbers of four bytes. Then the values in this
-- order:
--   receipts (value, seconds kept), expectations (token, '' for absent), logs (length before, entries to come),
--   quantities (delta), writes (value, '' to delete), entries log by log, feed bodies, feed positions that are
--   done, due subjects (subject, milliseconds, '' to take off).
-- No amount becomes a Lua number: BITFIELD counts, a quantity is read as its eight bytes.
local call, head = redis.call, ARGV[1]
local receipts, expects, logs, quantities, writes, effects, done, dues = struct.unpack('>I4I4I4I4I4I4I4I4', head)
local ar, ke = 1, receipts
local kl, ae = ke + expects, ar + 2 * receipts
local kq, al = kl + logs, ae + expects
local aq = al + 2 * logs
local aw = aq + quantities
local next = aw + writes
local kf = kq + quantities
local feed, feed_counter, due
if effects + done > 0 then feed, feed_counter, kf = KEYS[kf + 1], KEYS[kf + 2], kf + 2 end
if dues > 0 then due = KEYS[kf + 1] end

-- What must not be there is looked for at once; what is found is told apart below.
local absent, as_stated = {}, true
for i = 1, receipts do absent[i] = KEYS[i] end
for i = 1, expects do
  local token = ARGV[ae + i]
  if token == '' then absent[#absent + 1] = KEYS[ke + i]
  elseif as_stated and call('GETRANGE', KEYS[ke + i], '0', '23') ~= token then as_stated = false end
end
for from = 1, #absent, 1000 do -- Lua's stack takes some thousands
  if call('EXISTS', unpack(absent, from, math.min(from + 999, #absent))) > 0 then as_stated = false end
end
if not as_stated then return told(0, receipts, expects) end

-- Of one log the answer to the push tells whether it continued it.
local push_first = logs == 1 and quantities == 0 and tonumber(ARGV[al + 2]) > 0
if not push_first then
  for i = 1, logs do
    if call('LLEN', KEYS[kl + i]) ~= tonumber(ARGV[al + 2 * i - 1]) then return { 'GAP', tostring(i - 1) } end
  end
end
if feed then call('ZCARD', feed) call('GET', feed_counter) end -- of a foreign type: fail now
if due then call('ZCARD', due) end

local before = {}
for i = 1, quantities do before[i] = call('GET', KEYS[kq + i]) end
for i = 1, quantities do
  -- Unsigned, 63 bits wide, after one bit of padding: the bytes of an i64 that is not negative.
  if not call('BITFIELD', KEYS[kq + i], 'OVERFLOW', 'FAIL', 'INCRBY', 'u63', 1, ARGV[aq + i])[1] then
    for j = 1, i do
      if before[j] then call('SET', KEYS[kq + j], before[j]) else call('DEL', KEYS[kq + j]) end
    end
    return { 'GUARD', tostring(i - 1), before[i] }
  end
end
for i = 1, logs do
  local first, last, len = next, next + tonumber(ARGV[al + 2 * i]), 0
  while next < last do
    local upto = math.min(next + 1000, last)
    len = call('RPUSH', KEYS[kl + i], unpack(ARGV, next + 1, upto))
    next = upto
  end
  if push_first and len ~= tonumber(ARGV[al + 1]) + last - first then
    for _ = first + 1, last do call('RPOP', KEYS[kl + i]) end
    return { 'GAP', '0' }
  end
end
for i = 1, receipts do call('SET', KEYS[i], ARGV[ar + 2 * i - 1], 'EX', ARGV[ar + 2 * i]) end
local puts = {}
for i = 1, writes do
  local key, value = KEYS[struct.unpack('>I4', head, 29 + 4 * i)], ARGV[aw + i]
  if value == '' then call('DEL', key)
  else
    puts[#puts + 1], puts[#puts + 2] = key, value
    if #puts == 1000 then call('MSET', unpack(puts)) puts = {} end
  end
end
if #puts > 0 then call('MSET', unpack(puts)) end
local position = effects > 0 and call('INCRBY', feed_counter, effects) - effects
for _ = 1, effects do
  next, position = next + 1, position + 1
  local digits = string.format('%016.0f', position)
  call('ZADD', feed, digits, digits .. ARGV[next])
end
for _ = 1, done do
  next = next + 1
  call('ZREMRANGEBYSCORE', feed, ARGV[next], ARGV[next])
end
for _ = 1, dues do
  next = next + 2
  if ARGV[next] == '' then call('ZREM', due, ARGV[next - 1])
  else call('ZADD', due, ARGV[next], ARGV[next - 1]) end
end
return { 'APPLIED' }
