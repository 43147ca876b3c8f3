//! The emulator's OpenAPI description as a judge of requests and answers. It knows OpenAPI as far as the description uses it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::tap::{Exchange, Message, cut};

const CREDENTIALS: [&str; 3] = ["api_key", "user_token", "guest_token"];
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The description, read.
pub(crate) struct Description {
    json: Value,
    prefix: String,
}

/// An operation of the description, and what a path says for the ids in its template.
struct Operation<'a> {
    method: String,
    route: &'a str,
    item: &'a Value,
    json: &'a Value,
    ids: BTreeMap<&'a str, String>,
}

impl Description {
    pub(crate) fn of_the_emulator() -> Self {
        let json: Value = serde_json::from_str(versync::emulator::DESCRIPTION).unwrap();
        let prefix = json["servers"][0]["url"].as_str().unwrap().to_owned();
        Self { json, prefix }
    }

    pub(crate) fn json(&self) -> &Value {
        &self.json
    }

    /// Every method and route, as `GET /folders/{id}`.
    pub(crate) fn operations(&self) -> BTreeSet<String> {
        let of = |(route, item): (&String, &Value)| {
            let methods = METHODS.into_iter().filter(|method| item.get(method).is_some());
            methods.map(|method| format!("{} {route}", method.to_uppercase())).collect::<Vec<_>>()
        };
        self.json["paths"].as_object().unwrap().iter().flat_map(of).collect()
    }

    /// The operation of an exchange, as `GET /folders/{id}`, and whether it was answered by success.
    pub(crate) fn operation(&self, exchange: &Exchange) -> (String, bool) {
        let found = self.find(&exchange.asked).unwrap();
        let succeeded = exchange.answered.as_ref().is_some_and(|answer| answer.word(1).starts_with('2'));
        (format!("{} {}", found.method.to_uppercase(), found.route), succeeded)
    }

    /// What the description has against an exchange.
    pub(crate) fn judge(&self, exchange: &Exchange) -> Vec<String> {
        let mut wrong = match self.find(&exchange.asked) {
            None => vec!["there is no such operation".to_owned()],
            Some(operation) => {
                let mut wrong = self.judge_request(&operation, &exchange.asked);
                let answer = exchange.answered.as_ref();
                wrong.extend(answer.iter().flat_map(|answer| self.judge_answer(&operation, answer)));
                wrong
            }
        };
        wrong.iter_mut().for_each(|wrong| *wrong = format!("{}: {wrong}", exchange.asked.line));
        wrong
    }

    fn find(&self, asked: &Message) -> Option<Operation<'_>> {
        let method = asked.word(0).to_ascii_lowercase();
        let path = asked.word(1).split('?').next()?.strip_prefix(&self.prefix)?;
        let fits = |(route, item): (&'_ String, &'_ Value)| {
            Some((ids(route, path)?.len(), item.get(&method)?)).map(|_| ())
        };
        let all = self.json["paths"].as_object()?;
        // A written-out path comes before a template.
        let routes = all.iter().filter(|(route, item)| fits((route, item)).is_some());
        let (route, item) = routes.min_by_key(|(route, _)| route.matches('{').count())?;
        Some(Operation { json: item.get(&method)?, method, route, item, ids: ids(route, path)? })
    }

    fn judge_request(&self, operation: &Operation<'_>, asked: &Message) -> Vec<String> {
        let mut wrong = self.judge_credential(operation, asked);
        let shared = operation.item["parameters"].as_array().into_iter().flatten();
        let own = operation.json["parameters"].as_array().into_iter().flatten();
        let parameters: Vec<&Value> = shared.chain(own).map(|parameter| self.resolve(parameter)).collect();
        for (name, id) in &operation.ids {
            match parameters.iter().find(|it| it["in"] == "path" && it["name"] == *name) {
                None => wrong.push(format!("the path parameter {name} is not described")),
                Some(found) => wrong.extend(self.fits(&found["schema"], &json!(id), name)),
            }
        }
        wrong.extend(self.judge_query(&parameters, asked));
        wrong.extend(self.judge_body(operation, asked));
        wrong
    }

    fn judge_credential(&self, operation: &Operation<'_>, asked: &Message) -> Vec<String> {
        let sent = asked.headers.iter().map(|(name, _)| name.as_str());
        let sent: Vec<&str> = sent.filter(|name| CREDENTIALS.contains(name)).collect();
        let allowed = operation.json["security"].as_array().unwrap();
        match sent.as_slice() {
            [one] if allowed.iter().any(|it| it.get(*one).is_some()) => Vec::new(),
            _ => vec![format!("it carries the credentials {sent:?}")],
        }
    }

    fn judge_query(&self, parameters: &[&Value], asked: &Message) -> Vec<String> {
        let query = asked.word(1).split_once('?').map_or("", |(_, query)| query);
        let mut given: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let mut wrong = Vec::new();
        for parameter in parameters.iter().filter(|it| it["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            let schema = &parameter["schema"];
            let deep = parameter["style"] == "deepObject";
            let is_its = |key: &str| if deep { key.starts_with(&format!("{name}[")) } else { key == name };
            let (its, others): (Vec<_>, Vec<_>) = given.into_iter().partition(|(key, _)| is_its(key));
            given = others;
            let values: Vec<&str> = its.iter().map(|(_, value)| value.as_str()).collect();
            if its.is_empty() {
                wrong.extend((parameter["required"] == true).then(|| format!("{name} is missing")));
            } else if deep {
                wrong.extend(self.fits(schema, &deep_object(name, &its), name));
            } else if schema["type"] == "array" {
                wrong.extend(self.fits(schema, &json!(values), name));
            } else if let [value] = values.as_slice() {
                let text = self.fits(schema, &json!(value), name);
                let typed = serde_json::from_str(value).map(|value| self.fits(schema, &value, name));
                wrong.extend(if typed.is_ok_and(|wrong| wrong.is_empty()) { Vec::new() } else { text });
            } else {
                wrong.push(format!("{name} is given {} times", values.len()));
            }
        }
        wrong.extend(given.into_iter().map(|(key, _)| format!("the query parameter {key} is not described")));
        wrong
    }

    fn judge_body(&self, operation: &Operation<'_>, asked: &Message) -> Vec<String> {
        let Some(described) = operation.json.get("requestBody") else {
            return asked.body.is_empty().then(Vec::new).unwrap_or_else(|| vec!["it has a body".into()]);
        };
        let kind = asked.header("content-type").unwrap_or_default();
        let plain = kind.split(';').next().unwrap_or_default();
        let Some(content) = described["content"].get(plain) else {
            return vec![format!("its body is of the type {kind:?}")];
        };
        let length =
            asked.header("content-length").map_or(Some("it does not tell the length of its body"), |_| None);
        let mut wrong: Vec<String> = length.into_iter().map(str::to_owned).collect();
        wrong.extend(match plain {
            "application/json" => match serde_json::from_slice(&asked.body) {
                Ok(body) => self.fits(&content["schema"], &body, "the body"),
                Err(error) => vec![format!("its body is no JSON: {error}")],
            },
            "multipart/form-data" => match form(kind, &asked.body) {
                Ok(body) => self.fits(&content["schema"], &body, "the body"),
                Err(why) => vec![why],
            },
            _ => Vec::new(),
        });
        wrong
    }

    fn judge_answer(&self, operation: &Operation<'_>, answer: &Message) -> Vec<String> {
        let status = answer.word(1);
        let Some(described) = operation.json["responses"].get(status) else {
            return vec![format!("the answer {status} is not described")];
        };
        let described = self.resolve(described);
        let mut wrong = Vec::new();
        for (name, header) in described["headers"].as_object().into_iter().flatten() {
            let header = self.resolve(header);
            match answer.header(name) {
                None if header["required"] == true => wrong.push(format!("the header {name} is missing")),
                None => {}
                Some(value) => {
                    let schema =
                        header.get("schema").unwrap_or(&header["content"]["application/json"]["schema"]);
                    let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
                    wrong.extend(self.fits(schema, &value, name));
                }
            }
        }
        let kind = answer.header("content-type").unwrap_or_default();
        match described.get("content").map(|content| content.get(kind)) {
            None if answer.body.is_empty() => {}
            None => wrong.push(format!("the answer {status} has a body")),
            Some(None) => wrong.push(format!("the answer {status} is of the type {kind:?}")),
            Some(Some(content)) if kind == "application/json" => {
                let body = serde_json::from_slice(&answer.body).unwrap();
                wrong.extend(self.fits(&content["schema"], &body, &format!("the answer {status}")));
            }
            Some(Some(_)) => {}
        }
        wrong
    }

    fn fits(&self, schema: &Value, value: &Value, what: &str) -> Vec<String> {
        let whole = json!({ "components": self.json["components"], "allOf": [schema] });
        let validator = jsonschema::options().should_validate_formats(true).build(&whole).unwrap();
        let errors = validator.iter_errors(value);
        errors
            .map(|error| format!("{what} at {:?}: {error} in {value}", error.instance_path().as_str()))
            .collect()
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
        self.json.pointer(reference.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("no {reference}"))
    }
}

/// What a path says for the ids of a route; `None` if it is another route's.
fn ids<'a>(route: &'a str, path: &str) -> Option<BTreeMap<&'a str, String>> {
    let (wanted, given): (Vec<&str>, Vec<&str>) = (route.split('/').collect(), path.split('/').collect());
    if wanted.len() != given.len() {
        return None;
    }
    let mut ids = BTreeMap::new();
    for (wanted, given) in wanted.into_iter().zip(given) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => drop(ids.insert(name, given.to_owned())),
            None if wanted == given => {}
            None => return None,
        }
    }
    Some(ids)
}

/// `name[a]=1&name[b][0]=2` as `{"a": "1", "b": ["2"]}`.
fn deep_object(name: &str, given: &[(String, String)]) -> Value {
    let mut object = Map::new();
    for (key, value) in given {
        let inner = key[name.len()..].trim_start_matches('[').trim_end_matches(']');
        let value = match value.as_str() {
            "true" | "false" => json!(value == "true"),
            _ => json!(value),
        };
        match inner.split_once("][") {
            None => drop(object.insert(inner.to_owned(), value)),
            Some((property, _)) => {
                object.entry(property).or_insert_with(|| json!([])).as_array_mut().unwrap().push(value);
            }
        }
    }
    object.into()
}

/// A form as `{"field": ["file", …]}`; each part must be a file with a name.
fn form(kind: &str, body: &[u8]) -> Result<Value, String> {
    let (_, boundary) = kind.split_once("boundary=").ok_or("its form has no boundary")?;
    let mark = format!("--{boundary}");
    let (mut form, mut rest) = (Map::new(), cut(body, mark.as_bytes()).ok_or("its form has no start")?.1);
    while !rest.starts_with(b"--") {
        let (part, after) = cut(rest, format!("\r\n{mark}").as_bytes()).ok_or("its form has no end")?;
        let head =
            String::from_utf8_lossy(cut(part, b"\r\n\r\n").ok_or("a part has no head")?.0).into_owned();
        let says =
            |what: &str| head.split_once(&format!("{what}=\"")).and_then(|(_, rest)| rest.split('"').next());
        let (Some(field), Some(1..)) = (says(" name"), says("filename").map(str::len)) else {
            return Err(format!("a part is no file: {head}"));
        };
        form.entry(field).or_insert_with(|| json!([])).as_array_mut().unwrap().push(json!("a file"));
        rest = after;
    }
    Ok(form.into())
}
