//! Converts the query string to the JSON that `query::parse` accepts.
//!
//! Two notations may be mixed: brackets (`filter[content][_eq]=x`, `fields[]=id`) and JSON text
//! (`filter={"content":"x"}`). Values stay texts, which the parser interprets.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use url::form_urlencoded;

use crate::domain::Error;
use crate::text::json;
use crate::text::json::Unfit;

/// Maximum number of parameters of a URL.
const PARAMETERS_MAX: usize = 1000;
/// Maximum number of brackets of a name.
const BRACKETS_MAX: usize = 10;
/// The parameters that may be JSON text.
const JSON_PARAMETERS: [&str; 4] = ["filter", "aggregate", "alias", "deep"];
/// A name with a special meaning in JavaScript. It is always dropped.
const DROPPED: &str = "__proto__";

/// Returns the query parameters as one JSON object, without `access_token`.
///
/// # Errors
/// [`Error::InvalidQuery`] for too many parameters or brackets, for JSON that is nested deeper than
/// `depth_max` or has numbers that would be rounded, and for a parameter given both as text and
/// with brackets. Invalid JSON stays text.
pub fn parse(query: Option<&str>, depth_max: usize) -> Result<Json, Error> {
    let mut root = Branch::default();
    for (count, (name, value)) in pairs(query).enumerate() {
        if count == PARAMETERS_MAX {
            return Err(invalid(format!("An address has at most {PARAMETERS_MAX} parameters")));
        }
        if name == "access_token" || name.is_empty() {
            continue;
        }
        let path = segments(&name)?;
        if !path.contains(&DROPPED) {
            root.insert(&path, value.into_owned())?;
        }
    }
    let mut json = Map::new();
    for (name, node) in root.entries {
        let value = match node {
            Node::Leaf(text) if JSON_PARAMETERS.contains(&name.as_str()) => {
                read_json(&name, text, depth_max)?
            }
            other => other.into_json(),
        };
        json.insert(name, value);
    }
    Ok(Json::Object(json))
}

/// Returns the value of one parameter as text, for handlers that need no more.
#[must_use]
pub fn find(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = pairs(query).take(PARAMETERS_MAX);
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

fn pairs(query: Option<&str>) -> form_urlencoded::Parse<'_> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes())
}

#[derive(Debug)]
enum Node {
    Leaf(String),
    Branch(Branch),
}

/// The entries below one bracket, in the order of the query string.
#[derive(Debug, Default)]
struct Branch {
    entries: Vec<(String, Node)>,
    /// The index of each entry, so that a long list is not searched for every element.
    places: BTreeMap<String, usize>,
    /// The list index after all existing elements.
    next: u32,
}

impl Branch {
    fn insert(&mut self, path: &[&str], value: String) -> Result<(), Error> {
        let Some((first, rest)) = path.split_first() else { return Ok(()) };
        let key = if first.is_empty() { self.next_index() } else { (*first).to_owned() };
        let Some(&place) = self.places.get(&key) else {
            let node = if rest.is_empty() {
                Node::Leaf(value)
            } else {
                let mut branch = Self::default();
                branch.insert(rest, value)?;
                Node::Branch(branch)
            };
            self.push(key, node);
            return Ok(());
        };
        if rest.is_empty() && index(&key).is_some() && self.is_list() {
            // `fields[0]=a&fields[0]=b` has two elements.
            self.push(self.next_index(), Node::Leaf(value));
            return Ok(());
        }
        let known = &mut self.entries[place].1;
        // `fields=a&fields=b` is a list, as are `fields[]=a&fields=b` and `fields=a&fields[]=b`.
        let rest: &[&str] = if rest.is_empty() { &[""] } else { rest };
        if matches!(known, Node::Leaf(_)) && is_element(rest) {
            let first = std::mem::replace(known, Node::Branch(Self::default()));
            if let Node::Branch(branch) = known {
                branch.push("0".to_owned(), first);
            }
        }
        match known {
            Node::Branch(branch) if branch.is_list() || !is_element(rest) => {
                branch.insert(rest, value)
            }
            Node::Leaf(_) | Node::Branch(_) => Err(invalid(format!(
                "\"{key}\" is given both as text and with brackets; use one of them"
            ))),
        }
    }

    fn push(&mut self, key: String, node: Node) {
        self.next = self.next.max(index(&key).map_or(0, |index| index.saturating_add(1)));
        self.places.insert(key.clone(), self.entries.len());
        self.entries.push((key, node));
    }

    /// Returns the key for `[]`, after all existing elements.
    fn next_index(&self) -> String {
        self.next.to_string()
    }

    fn is_list(&self) -> bool {
        !self.entries.is_empty() && self.entries.iter().all(|(key, _)| index(key).is_some())
    }

    fn into_json(self) -> Json {
        if self.is_list() {
            let mut entries = self.entries;
            entries.sort_by_key(|(key, _)| index(key));
            Json::Array(entries.into_iter().map(|(_, node)| node.into_json()).collect())
        } else {
            Json::Object(
                self.entries.into_iter().map(|(key, node)| (key, node.into_json())).collect(),
            )
        }
    }
}

impl Node {
    fn into_json(self) -> Json {
        match self {
            Self::Leaf(text) => Json::String(text),
            Self::Branch(branch) => branch.into_json(),
        }
    }
}

fn invalid(reason: String) -> Error {
    Error::InvalidQuery(reason)
}

/// Returns whether the names in brackets denote one element of a list.
fn is_element(names: &[&str]) -> bool {
    matches!(names, [name] if name.is_empty() || index(name).is_some())
}

/// Returns the list index of a key.
fn index(key: &str) -> Option<u32> {
    let digits = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| key.parse().ok()).flatten()
}

/// Splits `a[b][c]` into its names; a name without a closing bracket is kept as written.
fn segments(name: &str) -> Result<Vec<&str>, Error> {
    let Some(open) = name.find('[').filter(|open| *open > 0) else { return Ok(vec![name]) };
    let mut path = vec![&name[..open]];
    let mut rest = &name[open..];
    while let Some((segment, after)) =
        rest.strip_prefix('[').and_then(|inside| inside.split_once(']'))
    {
        if path.len() > BRACKETS_MAX {
            return Err(invalid(format!(
                "Brackets nest at most {BRACKETS_MAX} levels deep; write deeper filters as JSON"
            )));
        }
        path.push(segment);
        rest = after;
    }
    if path.len() == 1 { Ok(vec![name]) } else { Ok(path) }
}

fn read_json(name: &str, text: String, depth_max: usize) -> Result<Json, Error> {
    json::check(text.as_bytes(), depth_max).map_err(|unfit| match unfit {
        Unfit::Deep(depth_max) => {
            invalid(format!("\"{name}\" nests more than {depth_max} levels deep"))
        }
        number @ Unfit::Number(_) => invalid(number.to_string()),
    })?;
    Ok(serde_json::from_str(&text).unwrap_or(Json::String(text)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(query: Option<&str>) -> Result<Json, Error> {
        super::parse(query, 32)
    }

    #[test]
    fn every_spelling_of_a_parameter_is_parsed() {
        let table = [
            ("", json!({})),
            ("limit=", json!({"limit": ""})),
            ("limit", json!({"limit": ""})),
            ("limit=-1&page=2", json!({"limit": "-1", "page": "2"})),
            ("search=a+b%20c%2Bd", json!({"search": "a b c+d"})),
            ("search=h%C3%A9llo", json!({"search": "héllo"})),
            ("search=%zz%4", json!({"search": "%zz%4"})),
            ("access_token=x&limit=1", json!({"limit": "1"})),
            ("fields=id,content", json!({"fields": "id,content"})),
            ("fields[]=id&fields[]=content", json!({"fields": ["id", "content"]})),
            ("fields%5B%5D=id", json!({"fields": ["id"]})),
            ("fields[1]=b&fields[0]=a", json!({"fields": ["a", "b"]})),
            ("fields=a&fields=b&fields=c", json!({"fields": ["a", "b", "c"]})),
            ("fields[]=a&fields=b", json!({"fields": ["a", "b"]})),
            ("fields=a&fields[]=b", json!({"fields": ["a", "b"]})),
            ("fields=a&fields[]=b&fields=c", json!({"fields": ["a", "b", "c"]})),
            ("fields=a&fields=b&fields[]=c", json!({"fields": ["a", "b", "c"]})),
            ("fields=a,b&fields[0]=c", json!({"fields": ["a,b", "c"]})),
            ("fields[0]=a&fields[0]=b", json!({"fields": ["a", "b"]})),
            ("sort[3]=b&sort=a&sort[]=c", json!({"sort": ["b", "a", "c"]})),
            ("sort=-a&sort=b&limit=1&limit=2", json!({"sort": ["-a", "b"], "limit": ["1", "2"]})),
            (
                "filter[a][_in]=1&filter[a][_in][]=2&filter[a][_in]=3",
                json!({"filter": {"a": {"_in": ["1", "2", "3"]}}}),
            ),
            ("filter[a][_in][0]=1&filter[a][_in]=2", json!({"filter": {"a": {"_in": ["1", "2"]}}})),
            ("alias[x][]=a&alias[x]=b", json!({"alias": {"x": ["a", "b"]}})),
            ("filter[content][_eq]=x", json!({"filter": {"content": {"_eq": "x"}}})),
            ("filter[content][_null]=", json!({"filter": {"content": {"_null": ""}}})),
            (
                "filter[_or][0][content][_eq]=x&filter[_or][1][id][_in]=1,2",
                json!({"filter": {"_or": [{"content": {"_eq": "x"}}, {"id": {"_in": "1,2"}}]}}),
            ),
            (
                "filter[id][_in][]=1&filter[id][_in][]=2",
                json!({"filter": {"id": {"_in": ["1", "2"]}}}),
            ),
            (
                r#"filter={"content":{"_eq":"a%26b"}}"#,
                json!({"filter": {"content": {"_eq": "a&b"}}}),
            ),
            ("filter=null", json!({"filter": null})),
            ("filter={bad", json!({"filter": "{bad"})),
            ("search={\"a\":1}", json!({"search": "{\"a\":1}"})),
            ("alias[words]=content", json!({"alias": {"words": "content"}})),
            (
                "deep[user_created][_limit]=1&deep[user_created][_sort]=id",
                json!({"deep": {"user_created": {"_limit": "1", "_sort": "id"}}}),
            ),
            ("filter[__proto__][a]=1&__proto__=2&limit=1", json!({"limit": "1"})),
            ("filter[content=x", json!({"filter[content": "x"})),
            ("[a]=x", json!({"[a]": "x"})),
        ];
        for (query, expected) in table {
            assert_eq!(parse(Some(query)).unwrap(), expected, "{query}");
        }
        assert_eq!(parse(None).unwrap(), json!({}));
    }

    #[test]
    fn levels_and_parameters_are_limited() {
        let levels = |count: usize| format!("filter{}=x", "[a]".repeat(count));
        let parameters = |count: usize| vec!["fields[]=id"; count].join("&");
        let nested = |depth: usize| format!("filter={}{}", "[".repeat(depth), "]".repeat(depth));

        assert!(parse(Some(&levels(10))).is_ok());
        assert!(matches!(parse(Some(&levels(11))), Err(Error::InvalidQuery(_))));
        assert!(parse(Some(&parameters(1000))).is_ok());
        assert!(matches!(parse(Some(&parameters(1001))), Err(Error::InvalidQuery(_))));
        assert!(parse(Some(&nested(32))).is_ok());
        assert!(matches!(parse(Some(&nested(33))), Err(Error::InvalidQuery(_))));
    }

    #[test]
    fn a_parameter_cannot_mix_text_and_brackets() {
        for query in [
            "filter={}&filter[id][_eq]=1",
            "filter[id][_eq]=1&filter={}",
            "fields=a&fields[x]=b",
            "fields[x]=b&fields=a",
            "filter[_or]=x&filter[_or][0][id]=1",
        ] {
            assert!(matches!(parse(Some(query)), Err(Error::InvalidQuery(_))), "{query}");
        }
    }

    #[test]
    fn a_single_parameter_is_found_by_name() {
        assert_eq!(find(Some("a=1&length=7"), "length").as_deref(), Some("7"));
        assert_eq!(find(Some("a=1"), "length"), None);
    }
}
