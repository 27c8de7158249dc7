//! The operators of filters, and the types that support them.

use crate::model::{Kind, Value};
use crate::query::{QueryError, Test, TextPosition};

/// An operator without its operand.
#[derive(Clone, Copy)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
    /// An ordering comparison with one bound.
    Order(fn(Value) -> Test),
    /// In a list.
    In,
    /// Not in a list.
    Nin,
    /// Within or outside two bounds.
    Range(fn(Value, Value) -> Test),
    /// The first test for true, the second for false.
    Switch(fn() -> Test, fn() -> Test),
    /// A test on part of a text.
    Text { position: TextPosition, ignore_case: bool, negated: bool },
}

const OPERATORS: [(&str, Operator); 25] = [
    ("_eq", Operator::Eq),
    ("_neq", Operator::Neq),
    ("_lt", Operator::Order(Test::Lt)),
    ("_lte", Operator::Order(Test::Lte)),
    ("_gt", Operator::Order(Test::Gt)),
    ("_gte", Operator::Order(Test::Gte)),
    ("_in", Operator::In),
    ("_nin", Operator::Nin),
    ("_between", Operator::Range(Test::Between)),
    ("_nbetween", Operator::Range(Test::Nbetween)),
    ("_null", Operator::Switch(|| Test::Null, || Test::Nnull)),
    ("_nnull", Operator::Switch(|| Test::Nnull, || Test::Null)),
    ("_empty", Operator::Switch(|| Test::Empty, || Test::Nempty)),
    ("_nempty", Operator::Switch(|| Test::Nempty, || Test::Empty)),
    ("_contains", text(TextPosition::Anywhere, false, false)),
    ("_ncontains", text(TextPosition::Anywhere, false, true)),
    ("_icontains", text(TextPosition::Anywhere, true, false)),
    ("_starts_with", text(TextPosition::Start, false, false)),
    ("_nstarts_with", text(TextPosition::Start, false, true)),
    ("_istarts_with", text(TextPosition::Start, true, false)),
    ("_nistarts_with", text(TextPosition::Start, true, true)),
    ("_ends_with", text(TextPosition::End, false, false)),
    ("_nends_with", text(TextPosition::End, false, true)),
    ("_iends_with", text(TextPosition::End, true, false)),
    ("_niends_with", text(TextPosition::End, true, true)),
];

const fn text(position: TextPosition, ignore_case: bool, negated: bool) -> Operator {
    Operator::Text { position, ignore_case, negated }
}

/// Returns the names of the operators that this type supports.
pub fn names(kind: Kind) -> impl Iterator<Item = &'static str> {
    OPERATORS.into_iter().map(|(name, _)| name).filter(move |name| has(kind, name))
}

/// Returns the operator, if this type supports it.
pub fn find(kind: Kind, name: &str) -> Result<Operator, QueryError> {
    let known = OPERATORS.into_iter().find(|(known, _)| *known == name && has(kind, name));
    known.map(|(_, operator)| operator).ok_or_else(|| {
        let kind = kind_name(kind);
        QueryError::invalid(format!(
            "\"{kind}\" field type does not contain the \"{name}\" filter operator"
        ))
    })
}

fn has(kind: Kind, operator: &str) -> bool {
    match operator {
        // Operators on a list apply to the keys in it.
        _ if matches!(kind, Kind::ToMany(..)) => false,
        "_null" | "_nnull" => true,
        "_eq" | "_neq" | "_in" | "_nin" => !matches!(kind, Kind::Secret | Kind::Json),
        "_lt" | "_lte" | "_gt" | "_gte" | "_between" | "_nbetween" => {
            matches!(kind, Kind::Integer | Kind::Timestamp)
        }
        "_empty" | "_nempty" => matches!(kind, Kind::Text | Kind::Secret),
        _ => matches!(kind, Kind::Text),
    }
}

impl Test {
    /// Returns the name of the operator that makes this test.
    #[must_use]
    pub fn operator(&self) -> &'static str {
        match self {
            Self::Eq(_) => "_eq",
            Self::Neq(_) => "_neq",
            Self::Lt(_) => "_lt",
            Self::Lte(_) => "_lte",
            Self::Gt(_) => "_gt",
            Self::Gte(_) => "_gte",
            Self::In(_) => "_in",
            Self::Nin(_) => "_nin",
            Self::Between(..) => "_between",
            Self::Nbetween(..) => "_nbetween",
            Self::Null => "_null",
            Self::Nnull => "_nnull",
            Self::Empty => "_empty",
            Self::Nempty => "_nempty",
            Self::Text { position, ignore_case, negated, .. } => {
                let sought = (*position, *ignore_case, *negated);
                let mut operators = OPERATORS.into_iter();
                let found = operators.find(|(_, operator)| {
                    matches!(*operator, Operator::Text { position, ignore_case, negated }
                        if (position, ignore_case, negated) == sought)
                });
                // Every test comes from an operator, except `_nicontains`, which has none.
                found.map_or("_nicontains", |(name, _)| name)
            }
        }
    }
}

/// Returns Directus's name of a type.
pub const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "integer",
        Kind::Text => "text",
        Kind::ToOne(target) if target.counts_keys() => "integer",
        Kind::Uuid | Kind::ToOne(_) => "uuid",
        Kind::Timestamp => "timestamp",
        Kind::Boolean => "boolean",
        Kind::Json => "json",
        Kind::Secret => "hash",
        Kind::ToMany(..) => "alias",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Collection;
    use crate::model::schema::{MESSAGES, USERS};
    use crate::query::Term;

    fn operators(collection: &'static Collection, field: &str) -> String {
        let kind = Term::from(collection.field(field).unwrap()).kind();
        names(kind).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_kind_has_its_operators() {
        let ordered = "_eq _neq _lt _lte _gt _gte _in _nin _between _nbetween _null _nnull";
        let equal = "_eq _neq _in _nin _null _nnull";
        assert_eq!(operators(&MESSAGES, "id"), ordered);
        assert_eq!(operators(&MESSAGES, "date_created"), ordered);
        assert_eq!(operators(&MESSAGES, "user_created"), equal);
        assert_eq!(operators(&USERS, "id"), equal);
        assert_eq!(operators(&USERS, "email_notifications"), equal);
        assert_eq!(operators(&USERS, "password"), "_null _nnull _empty _nempty");
        assert_eq!(operators(&USERS, "tags"), "_null _nnull");
        assert_eq!(operators(&USERS, "policies"), "");
        assert_eq!(
            operators(&MESSAGES, "content"),
            "_eq _neq _in _nin _null _nnull _empty _nempty _contains _ncontains _icontains \
             _starts_with _nstarts_with _istarts_with _nistarts_with _ends_with _nends_with \
             _iends_with _niends_with",
        );
    }
}
