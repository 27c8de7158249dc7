//! Parses `aggregate` and `groupBy`, and the order of the groups.

use serde_json::Value as Json;

use crate::model::{Collection, Kind};
use crate::query::parse::json::decode;
use crate::query::parse::operator::kind_name;
use crate::query::parse::parser;
use crate::query::parse::parser::Parser;
use crate::query::parse::sort::direction;
use crate::query::{Aggregation, Operation, QueryError, Term, Total, TotalsKey, TotalsSort};

impl Parser<'_> {
    /// Parses the aggregation; `None` if both parameters are absent.
    pub fn aggregation(
        &mut self,
        collection: &'static Collection,
        aggregate: Option<&Json>,
        group_by: Option<&Json>,
        sort: Option<&Json>,
    ) -> Result<Option<Aggregation>, QueryError> {
        let mut totals = Aggregation::default();
        for name in group_by.map_or(Ok(Vec::new()), |json| parser::names("groupBy", json))? {
            self.take()?;
            let term = self.term(collection, name)?;
            if !is_comparable(term.kind()) {
                return Err(unfit("groupBy", term));
            }
            let group = (term.name(), term);
            if !totals.groups.contains(&group) {
                totals.groups.push(group);
            }
        }
        if let Some(json) = aggregate {
            totals.totals = self.totals(collection, json)?;
        }
        if totals.groups.is_empty() && totals.totals.is_empty() {
            return Ok(None);
        }
        for name in sort.map_or(Ok(Vec::new()), |json| parser::names("sort", json))? {
            self.take()?;
            let key = self.group_sort_key(collection, name, &totals)?;
            totals.sort.extend(key);
        }
        Ok(Some(totals))
    }

    fn totals(
        &mut self,
        collection: &'static Collection,
        json: &Json,
    ) -> Result<Vec<Total>, QueryError> {
        let json = decode(json)?;
        let json = json.ok_or_else(|| QueryError::invalid("Invalid JSON for aggregate object"))?;
        let Json::Object(entries) = &*json else {
            return Err(QueryError::invalid("\"aggregate\" must be of type object"));
        };
        let mut totals = Vec::new();
        for (name, json) in entries {
            let operation = Operation::find(name).ok_or_else(|| {
                let known = Operation::ALL.map(Operation::name).join(", ");
                QueryError::invalid(format!(
                    "There is no aggregate function \"{name}\", only {known}"
                ))
            })?;
            for name in parser::names("aggregate", json)? {
                self.take()?;
                let total = Total { operation, of: self.argument(collection, operation, name)? };
                if !totals.contains(&total) {
                    totals.push(total);
                }
            }
        }
        Ok(totals)
    }

    /// Returns the argument of an aggregate function.
    fn argument(
        &self,
        collection: &'static Collection,
        operation: Operation,
        name: &str,
    ) -> Result<Option<Term>, QueryError> {
        if matches!((operation, name), (Operation::CountAll, _) | (Operation::Count, "*")) {
            return Ok(None);
        }
        let term = self.term(collection, name)?;
        let kind = term.kind();
        let fits = match operation {
            Operation::CountAll => true,
            Operation::Count => !matches!(kind, Kind::ToMany(..)),
            Operation::CountDistinct => is_comparable(kind),
            Operation::Min | Operation::Max => {
                matches!(kind, Kind::Integer | Kind::Timestamp | Kind::Text | Kind::Uuid)
            }
            Operation::Sum | Operation::SumDistinct | Operation::Avg | Operation::AvgDistinct => {
                matches!(kind, Kind::Integer)
            }
        };
        if fits { Ok(Some(term)) } else { Err(unfit(operation.name(), term)) }
    }

    /// Returns one sort key. With a single group, fields that could sort the items have no effect.
    fn group_sort_key(
        &self,
        collection: &'static Collection,
        name: &str,
        totals: &Aggregation,
    ) -> Result<Option<TotalsSort>, QueryError> {
        let (descending, name) = direction(name);
        let (head, rest) = name.split_once('.').unwrap_or((name, "*"));
        let is_total = |total: &Total| {
            total.operation.name() == head && total.of.map_or("*".into(), Term::name) == rest
        };
        let total = totals.totals.iter().position(is_total).map(TotalsKey::Total);
        let named = || totals.groups.iter().position(|(group, _)| group == name);
        if let Some(by) = total.or_else(|| named().map(TotalsKey::Group)) {
            return Ok(Some(TotalsSort { by, descending }));
        }
        let term = self.term(collection, name)?;
        match totals.groups.iter().position(|(_, group)| *group == term) {
            Some(index) => Ok(Some(TotalsSort { by: TotalsKey::Group(index), descending })),
            None if totals.groups.is_empty() => Ok(None),
            None => Err(QueryError::invalid(format!(
                "Groups can be sorted by what they are grouped by, or by what is aggregated, and \
                 \"{name}\" is neither"
            ))),
        }
    }
}

/// Returns whether clients can compare values of this type: they see secrets only masked.
const fn is_comparable(kind: Kind) -> bool {
    !matches!(kind, Kind::Secret | Kind::Json | Kind::ToMany(..))
}

fn unfit(function: &str, term: Term) -> QueryError {
    if matches!(term.field.kind, Kind::ToMany(..)) {
        return parser::to_many(term.field);
    }
    QueryError::invalid(format!(
        "\"{}\" field type does not contain the \"{function}\" function",
        kind_name(term.kind())
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::schema::{MESSAGES, USERS};
    use crate::query::Limits;
    use crate::query::parse::parser::with_parser;

    fn read(
        collection: &'static Collection,
        query: &Json,
    ) -> Result<Option<Aggregation>, QueryError> {
        let at = |name: &str| query.get(name);
        with_parser(&Limits::default(), |parser| {
            parser.aggregation(collection, at("aggregate"), at("groupBy"), at("sort"))
        })
    }

    fn render(query: &Json) -> String {
        let totals = read(&MESSAGES, query).expect("the query parses").expect("it has aggregates");
        let groups = totals.groups.iter().map(|(name, _)| name.to_string());
        let sums = totals.totals.iter().map(|total| {
            let of = total.of.map_or("*".into(), Term::name);
            format!("{}({of})", total.operation.name())
        });
        let sort = totals.sort.iter().map(|sort| {
            let sign = if sort.descending { '-' } else { '+' };
            format!("{sign}{:?}", sort.by)
        });
        groups.chain(sums).chain(sort).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_spelling_is_parsed() {
        for (query, expected) in [
            (json!({"aggregate": {"count": "*"}}), "count(*)"),
            (json!({"aggregate": {"count": ["*"]}}), "count(*)"),
            (json!({"aggregate": "{\"count\":\"*\"}"}), "count(*)"),
            (json!({"aggregate": {"countAll": "*"}}), "countAll(*)"),
            (json!({"aggregate": {"count": "id, content"}}), "count(id) count(content)"),
            (json!({"aggregate": {"min": "id", "max": ["id"]}}), "min(id) max(id)"),
            (
                json!({"aggregate": {"countDistinct": "year(date_created)"}}),
                "countDistinct(date_created_year)",
            ),
            (json!({"groupBy": "content"}), "content"),
            (
                json!({"groupBy": ["user_created", "year(date_created)"]}),
                "user_created date_created_year",
            ),
            (
                json!({
                    "aggregate": {"count": ["*", "id"]},
                    "groupBy": "user_created,month(date_created)",
                    "sort": "-count,count.id,month(date_created),-date_created_month,user_created",
                }),
                "user_created date_created_month count(*) count(id) \
                 -Total(0) +Total(1) +Group(1) -Group(1) +Group(0)",
            ),
            (json!({"aggregate": {"count": "*"}, "sort": "-id"}), "count(*)"),
        ] {
            assert_eq!(render(&query), expected, "{query}");
        }
        assert_eq!(read(&MESSAGES, &json!({"aggregate": {"count": ""}})), Ok(None));
        assert_eq!(read(&MESSAGES, &json!({"sort": "id"})), Ok(None));
    }

    #[test]
    fn invalid_input_is_refused() {
        for (query, expected) in [
            (json!({"aggregate": "{bad"}), "Invalid JSON for aggregate object"),
            (json!({"aggregate": ["count"]}), "\"aggregate\" must be of type object"),
            (json!({"aggregate": {"count": 1}}), "\"aggregate\" must be an array"),
            (
                json!({"aggregate": {"avg": "email"}}),
                "\"text\" field type does not contain the \"avg\" function",
            ),
            (
                json!({"aggregate": {"max": "password"}}),
                "\"hash\" field type does not contain the \"max\" function",
            ),
            (
                json!({"aggregate": {"countDistinct": "password"}}),
                "\"hash\" field type does not contain the \"countDistinct\" function",
            ),
            (
                json!({"groupBy": "token"}),
                "\"hash\" field type does not contain the \"groupBy\" function",
            ),
        ] {
            assert_eq!(read(&USERS, &query), Err(QueryError::invalid(expected)), "{query}");
        }
        for (query, expected) in [
            (json!({"aggregate": {"frob": "*"}}), "There is no aggregate function \"frob\""),
            (json!({"aggregate": {"count": "policies"}}), "\"policies\" is a list"),
            (json!({"groupBy": "policies"}), "\"policies\" is a list"),
            (json!({"groupBy": "status", "sort": "email"}), "Groups can be sorted by"),
        ] {
            let error = read(&USERS, &query).expect_err("invalid input").to_string();
            assert!(error.starts_with(expected), "{query}: {error}");
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        for query in [
            json!({"aggregate": {"count": "nope"}}),
            json!({"aggregate": {"sum": "*"}}),
            json!({"aggregate": {"count": "user_created.first_name"}}),
            json!({"groupBy": "nope"}),
            json!({"groupBy": "year(nope)"}),
            json!({"groupBy": "content", "sort": "nope"}),
        ] {
            let error = read(&MESSAGES, &query).expect_err("invalid input");
            assert!(matches!(error, QueryError::UnknownFields { .. }), "{query}");
        }
    }
}
