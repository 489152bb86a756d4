-- Behind `told`: commits of the usual shape, all of different partitions, so that no two of them have a key in common. Each
-- is applied or not by itself, as if it came alone; what all of them look at and write is looked at and written in one
-- command where there is one for it, for commands are what a commit costs.
-- KEYS, commit by commit: its receipts, the records that it expects and writes, its log, and the due index if it has
-- anything for it.
-- ARGV, the first: of each commit the numbers of its receipts, records, entries and due subjects, four bytes each. Then,
-- commit by commit: receipts (value, seconds kept), tokens expected ('' for absent), the records' values, the length of the
-- log before, entries, due subjects (subject, milliseconds, '' to take off).
-- Answers for each commit: 1 when it is applied; what is told when it is not as stated; nil when it is to be tried by itself,
-- which says what is wrong: it has written nothing. A command that can fail is the first that a commit writes with.
local call, try, unpack, heads = redis.call, redis.pcall, unpack, ARGV[1]
local commits = #heads / 16

local stated, absent, count = {}, {}, 0
local k, a = 0, 1
for c = 1, commits do
  local receipts, records, entries, dues = struct.unpack('>I4I4I4I4', heads, 16 * c - 15)
  stated[c] = true
  for i = 1, receipts do absent[count + i] = KEYS[k + i] end
  k, a, count = k + receipts, a + 2 * receipts, count + receipts
  for i = 1, records do
    local token = ARGV[a + i]
    if token == '' then
      count = count + 1
      absent[count] = KEYS[k + i]
    elseif stated[c] and try('GETRANGE', KEYS[k + i], '0', '23') ~= token then
      stated[c] = false
    end
  end
  k, a = k + records + 1, a + 2 * records + 1 + entries + 2 * dues
  if dues > 0 then k = k + 1 end
end
-- One look for all. Only where somebody finds what is not to be there each looks for itself.
local clear = count == 0 or call('EXISTS', unpack(absent)) == 0

local answers, puts, put = {}, {}, 0
k, a = 0, 1
for c = 1, commits do
  local receipts, records, entries, dues = struct.unpack('>I4I4I4I4', heads, 16 * c - 15)
  local tokens = a + 2 * receipts
  local values = tokens + records
  local before = values + records + 1
  local log = k + receipts + records + 1
  local due = dues > 0 and KEYS[log + 1]
  local as_stated = stated[c]
  if as_stated and not clear then
    for i = 1, receipts do
      if call('EXISTS', KEYS[k + i]) == 1 then as_stated = false end
    end
    for i = 1, records do
      if ARGV[tokens + i] == '' and call('EXISTS', KEYS[k + receipts + i]) == 1 then as_stated = false end
    end
  end
  if not as_stated then
    local fine, answer = pcall(told, k, receipts, records)
    answers[c] = fine and answer
  elseif due and type(try('ZCARD', due)) == 'table' then
    answers[c] = false
  else
    local length = try('RPUSH', KEYS[log], unpack(ARGV, before + 1, before + entries))
    if type(length) == 'table' then
      answers[c] = false
    elseif length ~= ARGV[before] + entries then
      for _ = 1, entries do call('RPOP', KEYS[log]) end
      answers[c] = false
    else
      answers[c] = 1
      for i = 1, receipts do call('SET', KEYS[k + i], ARGV[a + 2 * i - 1], 'EX', ARGV[a + 2 * i]) end
      for i = 1, records do
        puts[put + 1], puts[put + 2] = KEYS[k + receipts + i], ARGV[values + i]
        put = put + 2
      end
      local last = before + entries
      for i = 1, dues do
        local subject, at = ARGV[last + 2 * i - 1], ARGV[last + 2 * i]
        if at == '' then call('ZREM', due, subject) else call('ZADD', due, at, subject) end
      end
    end
  end
  k, a = due and log + 1 or log, before + entries + 2 * dues
end
if put > 0 then call('MSET', unpack(puts)) end
return answers
