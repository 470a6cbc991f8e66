-- What wrk sends, and what it tells: wrk -s load.lua URL -- FILE NUMBER
--
-- FILE holds one request (or several, pipelined) as it goes over the wire. Where it has {n}, each request
-- gets a number that no other has: NUMBER, and those that follow.

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local template = file:read("*a")
  file:close()
  local parts = {}
  for part in (template .. "{n}"):gmatch("(.-){n}") do
    parts[#parts + 1] = part
  end
  if #parts == 1 then
    wrk.format = function() return template end -- wrk asks once, and then repeats it by itself
    return
  end
  local n = tonumber(arguments[2])
  function request()
    n = n + 1
    return table.concat(parts, n)
  end
end

function done(summary, latency)
  local told = {
    requests = summary.requests,
    microseconds = summary.duration,
    p50 = latency:percentile(50),
    p99 = latency:percentile(99),
    connect_errors = summary.errors.connect,
    read_errors = summary.errors.read,
    write_errors = summary.errors.write,
    timeouts = summary.errors.timeout,
    responses_not_2xx = summary.errors.status,
  }
  local members = {}
  for name, value in pairs(told) do
    members[#members + 1] = string.format('"%s": %d', name, value)
  end
  print("JSON {" .. table.concat(members, ", ") .. "}")
end
