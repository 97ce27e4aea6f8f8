-- The operators of Kamailio's native language for values that are nil, numbers or strings.
local band, bor, bxor, bnot = bit.band, bit.bor, bit.bxor, bit.bnot
local lshift, rshift = bit.lshift, bit.rshift
local type, tonumber, find, format = type, tonumber, string.find, string.format
local modf, fmod = math.modf, math.fmod

-- The return code of a native function that returned r.
local function code(r)
  if r == true or r == nil then return 1 end
  if r == false then return -1 end
  return r
end

local function int(v)
  if type(v) == "number" then return v end
  if v == nil or v == "" then return 0 end
  if find(v, "^[+-]?%d+$") or find(v, "^0[xX]%x+$") then return tonumber(v) end
  P.log(0, "automatic string to int conversion for \"" .. v .. "\" failed")
  return 0
end

local function str(v)
  if type(v) == "string" then return v end
  if v == nil then return "" end
  return format("%d", v)
end

local function add(l, r)
  if type(l) == "number" then return l + int(r) end
  return str(l) .. str(r)
end

local function div(l, r)
  if r == 0 then
    P.log(-1, "division by zero")
    return nil
  end
  return (modf(l / r))
end

local function mod(l, r)
  if r == 0 then
    P.log(-1, "modulo by zero")
    return nil
  end
  return fmod(l, r)
end

-- Equality by the type of the left operand; what is not set equals 0 and "".
local function eq(l, r)
  if l == r then return true end
  if type(l) == "number" then return l == int(r) end
  if l == nil then return r == 0 or r == "" end
  return l == str(r)
end

local function need(name)
  local f = P.call[name]
  if f == nil then error("no native function " .. name, 0) end
  return f
end

local function matcher(regex)
  if P.matcher then return P.matcher(regex) end
  local match = P.match
  return function(value) return match(value, regex) end
end

local R = {}

local function call_route(name, rc)
  local route = R[str(name)]
  if route == nil then
    P.log(-1, "route[" .. str(name) .. "] is not defined")
    return -1
  end
  return route(rc)
end

local function route_if_exists(name, rc)
  local route = R[str(name)]
  if route == nil then return -1 end
  return route(rc)
end
