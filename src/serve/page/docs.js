const METHODS = ["get", "post", "put", "delete"];

// A text whose words in backticks are code.
const prose = (text) => (text || "").split("`").map((part, i) => (i % 2 ? element("code", { textContent: part }) : part));

// The schema itself, where it is only named.
const resolved = (api, schema) =>
  schema?.$ref ? resolved(api, schema.$ref.slice(2).split("/").reduce((part, name) => part[name], api)) : schema;

// The name of a type, for people.
function typeOf(api, schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  const several = schema.oneOf || schema.anyOf;
  if (several) return several.map((one) => typeOf(api, one)).filter((name) => name !== "null").join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  const types = [schema.type].flat().filter((type) => type && type !== "null");
  if (types[0] === "array") return `list of ${typeOf(api, schema.items) || "values"}`;
  return types.join(" or ");
}

function fields(api, schema) {
  const found = resolved(api, schema);
  const parts = found?.allOf ? found.allOf.map((part) => resolved(api, part)) : [found];
  const rows = parts.flatMap((part) => Object.entries(part?.properties || {}).map(([name, field]) => element("tr", {},
    element("td", {}, element("code", { textContent: name }), part.required?.includes(name) ? "" : element("span", { className: "soft", textContent: " (optional)" })),
    element("td", { textContent: typeOf(api, field) }),
    element("td", {}, ...prose(field.description || resolved(api, field)?.description)))));
  return rows.length ? element("table", {}, element("tbody", {}, ...rows)) : element("p", { className: "soft", textContent: typeOf(api, schema) });
}

// A body that can be sent: the examples of the schema's required fields.
function example(api, schema, depth = 0) {
  const found = resolved(api, schema);
  if (!found || depth > 6) return null;
  if (found.example !== undefined) return found.example;
  if (found.examples?.length) return found.examples[0];
  const several = found.oneOf || found.anyOf;
  if (several) return example(api, several.find((one) => one.type !== "null"), depth + 1);
  if (found.allOf) return Object.assign({}, ...found.allOf.map((part) => example(api, part, depth + 1)));
  if (found.enum) return found.enum[0];
  switch ([found.type].flat().find((type) => type !== "null")) {
    case "object": {
      const given = Object.entries(found.properties || {}).filter(([name, field]) => found.required?.includes(name) || field.example !== undefined);
      return Object.fromEntries(given.map(([name, field]) => [name, example(api, field, depth + 1)]));
    }
    case "array": return found.prefixItems ? found.prefixItems.map((item) => example(api, item, depth + 1)) : [example(api, found.items, depth + 1)];
    case "string": return "text";
    case "integer": return 1;
    case "number": return 1.0;
    case "boolean": return false;
    default: return null;
  }
}

function route(api, path, method, operation) {
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const box = element("details", { className: "route" }, element("summary", {},
    element("span", { className: "method", textContent: method.toUpperCase() }),
    element("code", { textContent: path }),
    element("span", { className: "soft" }, ...prose(operation.summary))));
  if (operation.description) box.append(element("p", {}, ...prose(operation.description)));
  for (const parameter of operation.parameters || []) {
    box.append(element("p", {}, element("code", { textContent: parameter.name }), ` in the ${parameter.in}: `, ...prose(parameter.description)));
  }
  if (body) {
    box.append(element("h2", { textContent: "Request" }), fields(api, body));
    const text = JSON.stringify(example(api, body)).replaceAll("'", "'\\''");
    const verb = method === "post" ? "" : ` -X ${method.toUpperCase()}`;
    box.append(element("pre", { tabIndex: 0, textContent: `curl${verb} ${location.origin}${path} -H 'Content-Type: application/json' -d '${text}'` }));
  } else {
    box.append(element("pre", { tabIndex: 0, textContent: `curl${method === "get" ? "" : ` -X ${method.toUpperCase()}`} ${location.origin}${path}` }));
  }
  box.append(element("h2", { textContent: "Replies" }));
  for (const [status, reply] of Object.entries(operation.responses || {})) {
    const schema = reply.content?.["application/json"]?.schema;
    box.append(element("p", {}, element("strong", { textContent: status }), ` ${reply.description} `, element("span", { className: "soft", textContent: typeOf(api, schema) })));
    if (status.startsWith("2") && schema) box.append(fields(api, schema.type === "array" ? schema.items : schema));
  }
  return box;
}

async function begin() {
  const reply = await fetch("api-doc/openapi.json");
  const api = await reply.json();
  document.getElementById("version").textContent = api.info.version;
  const groups = new Map();
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const method of METHODS) {
      const operation = operations[method];
      if (!operation) continue;
      const group = operation.tags?.[0] || "";
      groups.set(group, [...(groups.get(group) || []), route(api, path, method, operation)]);
    }
  }
  document.getElementById("routes").replaceChildren(...[...groups].flatMap(([name, routes]) => [element("h2", { textContent: name }), ...routes]));
}
begin();
