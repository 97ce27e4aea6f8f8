-- The Lua side of lua/runtime.py: coroutines, the current context, waits, error texts, the budget.
-- It is run once a state and returns the functions Python calls. It must not know what the
-- functions in the root table do. None of these functions raises into Python.

local OWN, root_name, log, describe, on_drop, block, nonblocking, budget, nil_concat, watch = ...

local ERR, WARN = -1, 0
local DONE, FAILED, SUSPENDED = 0, 1, 2
local EXIT = "~~ksr~exit~~"
local WAIT = {}
local PERIOD = 10000
local POOL_LIMIT = 1024
local WATCHED_WAITS = 1000

local G, type, tostring, tonumber, select, next = _G, type, tostring, tonumber, select, next
local xpcall, error, load, floor, ceil = xpcall, error, load, math.floor, math.ceil
local create, raw_resume, yield = coroutine.create, coroutine.resume, coroutine.yield
local running, isyieldable = coroutine.running, coroutine.isyieldable
local getinfo, sethook = debug.getinfo, debug.sethook

-- What scripts see ---------------------------------------------------------------------------

local root = {}
G[root_name] = root
package.loaded[root_name] = root
G.python = nil
package.loaded.python = nil

local CTX -- the context of whatever runs now
local function current() return CTX end

-- lupa's metatable of Python objects: its __gc drops the Python reference at once, where Lua's
-- collector, which sees 40 bytes, would keep thousands of contexts alive.
local object_meta = debug.getmetatable(log)
local drop_reference = object_meta.__gc
object_meta.__concat = function(a, b) return tostring(a) .. tostring(b) end

if nil_concat then
  local function text(value)
    if value == nil then return "<null>" end
    if type(value) == "boolean" then return tostring(value) end
    if type(value) == "string" or type(value) == "number" then return value end
    error("attempt to concatenate a " .. type(value) .. " value", 3)
  end
  debug.setmetatable(nil, {__concat = function(a, b) return text(a) .. text(b) end})
end

-- Error texts --------------------------------------------------------------------------------

local function file_of(info)
  return (info.source:gsub("^[@=]", ""))
end

local function title(info)
  if info.what == "main" then return "main chunk" end
  for name, value in next, G do
    if value == info.func then return "function '" .. tostring(name) .. "'" end
  end
  if info.name then return "function '" .. info.name .. "'" end
  return "function <" .. file_of(info) .. ":" .. info.linedefined .. ">"
end

-- The frames of the script's own functions, innermost first.
local function script_frames()
  local frames, level = {}, 1
  while #frames < 30 do
    local info = getinfo(level, "Slnf")
    if not info then break end
    if info.what ~= "C" and info.source ~= OWN then
      info.place = file_of(info) .. ":" .. info.currentline
      frames[#frames + 1] = info
    end
    level = level + 1
  end
  return frames
end

local function report(err)
  local message = type(err) == "userdata" and describe(err) or tostring(err)
  local frames = script_frames()
  local first = frames[1]
  if not first then return "script error: " .. message end
  local prefix = first.short_src .. ":" .. first.currentline .. ": "
  if message:sub(1, #prefix) == prefix then message = message:sub(#prefix + 1) end
  local lines = {"script error at " .. first.place .. " in " .. title(first) .. ": " .. message,
    "stack traceback:"}
  for index = 1, #frames do
    lines[#lines + 1] = "\t" .. frames[index].place .. ": in " .. title(frames[index])
  end
  return table.concat(lines, "\n")
end

-- The instruction budget ---------------------------------------------------------------------

local used, limit, tight = 0, math.huge, false
local period = PERIOD

-- Over the budget the hook runs at every instruction, so that a pcall which catches the error is
-- left at the next one. It never raises inside the bridge: those frames must end orderly.
local function hook()
  used = used + 1
  if used < limit or getinfo(2, "S").source == OWN then return end
  if not tight then
    tight = true
    sethook(hook, "", 1)
  end
  error("script exceeded " .. budget .. " instructions", 2)
end

local function relax()
  if tight then
    tight = false
    sethook(hook, "", period)
  end
end

if budget > 0 then
  -- Compiled traces never call hooks, and almost every trace of a routing script would end at its
  -- first call into Python anyway: the compiler stays off.
  jit.off()
  period = math.min(PERIOD, budget)
  limit = ceil(budget / period)
  sethook(hook, "", period)
end

-- Running ------------------------------------------------------------------------------------

local pool, pooled = {}, 0
local suspended, last_number, waiting = {}, 0, 0
local owned = setmetatable({}, {__mode = "k"})

local function handler(err)
  relax()
  if err == EXIT then return EXIT end
  if err == "stack overflow" then -- what is left of the stack carries no more than this
    local info = getinfo(2, "Sl")
    return "script error at " .. info.short_src .. ":" .. info.currentline .. ": stack overflow"
  end
  return report(err)
end

-- A coroutine of the pool: runs a function, yields how it ended, takes the next one.
local function body(fn, ...)
  return body(yield(xpcall(fn, handler, ...)))
end

local function is_waiting(context)
  for _, record in next, suspended do
    if record[2] == context then return true end
  end
  return false
end

local function release(context, outer)
  if type(context) == "userdata" and context ~= outer
    and not (waiting > 0 and is_waiting(context)) then
    drop_reference(context)
  end
end

local seen, warned, watched = {}, {}, 0

local function snapshot()
  for name, value in next, G do seen[name] = value end
end

-- A comparison at the first waits of a process: nothing is paid where globals are written. It sees
-- a name bound to another value since the last wait, whichever request did it, not what changes
-- inside a table.
local function inspect_globals()
  watched = watched + 1
  if watched > WATCHED_WAITS then watch = false end
  for name, value in next, G do
    if seen[name] ~= value then
      seen[name] = value
      if not warned[name] then
        warned[name] = true
        log(WARN, "the script writes the global '" .. tostring(name) .. "' while requests run and"
          .. " waits: requests interleave at waits, use a local or $var/$avp")
      end
    end
  end
end

local function suspend(coroutine, context, wait)
  if watch then inspect_globals() end
  last_number = last_number + 1
  waiting = waiting + 1
  suspended[last_number] = {coroutine, context, wait}
  return SUSPENDED, last_number, wait
end

local function finish(outer, outer_used, coroutine, ok, status, result)
  local context = CTX
  CTX, used = outer, outer_used
  if ok and status == WAIT then return suspend(coroutine, context, result) end
  if ok and pooled < POOL_LIMIT then
    pooled = pooled + 1
    pool[pooled] = coroutine
  end
  release(context, outer)
  if ok and (status == true or result == EXIT) then return DONE end
  relax()
  return FAILED, tostring(ok and result or status)
end

local function lookup(name)
  local value = G[name]
  if value == nil and name:find(".", 1, true) then
    value = G
    for part in name:gmatch("[^.]+") do
      value = type(value) == "table" and value[part] or nil
    end
  end
  return type(value) == "function" and value or nil
end

local function start(context, fn, ...)
  if type(fn) == "string" then
    local name = fn
    fn = lookup(name)
    if not fn then return FAILED, "script function '" .. name .. "' is not defined" end
  end
  local coroutine = pool[pooled]
  if coroutine then
    pool[pooled] = nil
    pooled = pooled - 1
  else
    coroutine = create(body)
    owned[coroutine] = true
  end
  local outer, outer_used = CTX, used
  CTX, used = context, 0
  return finish(outer, outer_used, coroutine, raw_resume(coroutine, fn, ...))
end

-- `problem` true raises `value` in the script at its wait. No result: that wait has ended before.
local function resume(number, problem, value)
  local record = suspended[number]
  if not record then return nil end
  suspended[number] = nil
  waiting = waiting - 1
  drop_reference(record[3])
  local outer, outer_used = CTX, used
  CTX, used = record[2], 0
  return finish(outer, outer_used, record[1], raw_resume(record[1], problem, value))
end

local function abandon(number)
  local record = suspended[number]
  if record then
    suspended[number] = nil
    waiting = waiting - 1
    release(record[2], CTX)
  end
end

local function evaluate(context, fn, ...)
  local value
  local code, detail, wait = start(context, function(...) value = fn(...) end, ...)
  return code, detail, wait, function() return value end
end

-- Waits --------------------------------------------------------------------------------------

local function resumed(problem, value)
  if problem then error(value, 0) end
  return value
end

-- Where Lua cannot yield (a callback of string.gsub, table.sort), the wait blocks.
-- A function that is given back is what is to run now, in the coroutine, so that it may wait.
local function settle(result, ...)
  local kind = type(result)
  if kind == "function" then return result() end
  if kind ~= "userdata" then return result, ... end
  if nonblocking and isyieldable() then return resumed(yield(WAIT, result)) end
  return block(result)
end

-- The script's own coroutines pass a wait through to the coroutine of their request.
local function relay(coroutine, ok, tag, ...)
  if not ok or tag ~= WAIT then return ok, tag, ... end
  if isyieldable() then return relay(coroutine, raw_resume(coroutine, yield(WAIT, ...))) end
  return relay(coroutine, raw_resume(coroutine, false, block(...)))
end

local function unwrapped(ok, ...)
  if not ok then error((...), 0) end
  return ...
end

coroutine.resume = function(thread, ...) return relay(thread, raw_resume(thread, ...)) end

coroutine.wrap = function(fn)
  local thread = create(fn)
  return function(...) return unwrapped(relay(thread, raw_resume(thread, ...))) end
end

coroutine.yield = function(...)
  if owned[running()] then error("attempt to yield from outside a coroutine", 2) end
  return yield(...)
end

-- The root table -----------------------------------------------------------------------------

local function str(value)
  return type(value) == "number" and tostring(value) or ""
end

local function int(value)
  local number = tonumber(value)
  if not number or number ~= number or number >= 2 ^ 53 or number <= -2 ^ 53 then return 0 end
  return number >= 0 and floor(number) or ceil(number)
end

local function caller()
  local frame = script_frames()[1]
  return frame and " at " .. frame.place or ""
end

local function too_few(name, given)
  log(ERR, root_name .. "." .. name .. ": too few arguments (" .. given .. ")" .. caller())
  return false
end

local function refused(name)
  log(WARN, root_name .. "." .. name .. " takes no arguments, not run" .. caller())
  return false
end

local factories = {}

-- A wrapper of a Python callable; its CTX is made the same variable as the bridge's.
local function wrap(source, fn, name)
  local factory = factories[source]
  if not factory then
    factory = load(source, OWN)(type, select, str, int, too_few, refused, settle)
    factories[source] = factory
  end
  local wrapper = factory(fn, name)
  local index = 1
  while debug.getupvalue(wrapper, index) ~= "CTX" do index = index + 1 end
  debug.upvaluejoin(wrapper, index, current, 1)
  return wrapper
end

local function bind(name, value)
  local at = root
  for part in name:gmatch("([^.]+)%.") do
    if type(at[part]) ~= "table" then at[part] = {} end
    at = at[part]
  end
  at[name:match("[^.]+$")] = value
end

bind("x.exit", function() error(EXIT, 0) end)
bind("x.drop", function()
  on_drop(CTX)
  error(EXIT, 0)
end)

-- Runs a global function inside the coroutine of its caller: 1, or -1 if it failed or is missing.
local function run_function(name, ...)
  local fn = lookup(name)
  if not fn then
    log(ERR, "script function '" .. tostring(name) .. "' is not defined" .. caller())
    return -1
  end
  local ok, message = xpcall(fn, handler, ...)
  if ok or message == EXIT then return 1 end
  log(ERR, message)
  return -1
end

local function compile(source, name)
  local fn, message = load(source, name, "t")
  if fn then return fn, false end
  return false, message
end

return {
  start = start, resume = resume, abandon = abandon, evaluate = evaluate, compile = compile,
  wrap = wrap, bind = bind, snapshot = snapshot, run_function = run_function,
  lookup = lookup,
  set_global = function(name, value) G[name] = value end,
  memory = function() return collectgarbage("count") end,
}
