local hs = {}
hs.status = "Progressing"
hs.message = "Waiting for selfsigned-issuer"
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    -- A condition of an older generation is not about the current spec.
    if condition.type == "Ready" and condition.observedGeneration == obj.metadata.generation then
      hs.message = condition.message
      if condition.status == "True" then
        hs.status = "Healthy"
      elseif condition.status == "False" then
        hs.status = "Degraded"
      end
    end
  end
end
return hs
