//! Compiles a filter to the condition of a statement, with the joins that it needs.
//!
//! A condition through a to-one relation is a left join: where the relation is null, all fields of
//! the item are null. A condition through a to-many relation is a subquery.

use sea_query::{Alias, Cond, Condition, Expr, ExprTrait, JoinType};

use crate::model::{Field, Kind, Value};
use crate::query::{Filter, Term, Test, TextPosition};
use crate::store::compile::Builder;
use crate::store::dialect;
use crate::store::rows;

impl Builder {
    pub(super) fn condition(&mut self, filter: &Filter, table: &str) -> Condition {
        match filter {
            Filter::And(parts) => {
                let parts = parts.iter().map(|part| self.condition(part, table));
                balanced(parts.filter(|part| !part.is_empty()).collect(), Cond::all)
            }
            Filter::Or(parts) if parts.is_empty() => Cond::all().add(Expr::val(1).eq(0)),
            Filter::Or(parts) => {
                let parts = parts.iter().map(|part| self.condition(part, table));
                // An empty condition would vanish from the list instead of being true.
                let parts = parts.map(|part| {
                    if part.is_empty() { Cond::all().add(Expr::val(1).eq(1)) } else { part }
                });
                balanced(parts.collect(), Cond::any)
            }
            Filter::Field(field, test) => {
                Cond::all().add(compare(column(table, field), field, test))
            }
            Filter::Part(field, part, test) => {
                let part = term(table, Term { field, part: Some(*part) });
                Cond::all().add(compare(part, field, test))
            }
            Filter::Related(field, inner) => {
                let alias = self.join(table, field);
                self.condition(inner, &alias)
            }
            Filter::Some(field, inner) => Cond::all().add(exists(field, inner, table)),
            Filter::None(field, inner) => Cond::all().add(exists(field, inner, table).not()),
        }
    }

    /// Joins the target of a to-one relation, once, and returns its alias.
    pub(super) fn join(&mut self, table: &str, field: &'static Field) -> String {
        let alias = format!("{table}_{}", field.name);
        let Some(target) = field.target() else {
            return table.to_owned();
        };
        if !self.joined.contains(&alias) {
            let there = column(&alias, target.key());
            self.sql.join_as(
                JoinType::LeftJoin,
                target.name,
                Alias::new(&alias),
                column(table, field).eq(there),
            );
            self.joined.push(alias.clone());
        }
        alias
    }
}

/// Joins conditions as a tree instead of a chain, since the depth of expressions is limited.
fn balanced(mut parts: Vec<Condition>, join: fn() -> Condition) -> Condition {
    const WIDTH: usize = 16;
    while parts.len() > WIDTH {
        parts = parts
            .chunks(WIDTH)
            .map(|parts| parts.iter().cloned().fold(join(), Condition::add))
            .collect();
    }
    parts.into_iter().fold(join(), Condition::add)
}

/// Returns the expression that is true if any item of a to-many relation matches.
fn exists(field: &'static Field, inner: &Filter, table: &str) -> Expr {
    let Some((other, back)) = field.pointing() else { return Expr::val(1).eq(0) };
    let alias = format!("{table}_{}", field.name);
    let mut inside = Builder::at(other, &alias);
    let inner = inside.condition(inner, &alias);
    inside.sql.expr(Expr::val(1));
    // A to-many relation starts from the key of its own collection.
    let here = back.target().map_or_else(|| other.key(), |target| target.key());
    inside.sql.and_where(column(&alias, back).eq(column(table, here)));
    if !inner.is_empty() {
        inside.sql.cond_where(inner);
    }
    Expr::exists(inside.sql)
}

/// Returns a column of a table.
pub(super) fn column(table: &str, field: &'static Field) -> Expr {
    Expr::col((Alias::new(table), field.name))
}

/// Returns a column, or a part of the date in it.
pub(super) fn term(table: &str, term: Term) -> Expr {
    let column = column(table, term.field);
    match term.part {
        None => column,
        Some(part) => dialect::date_part(column, part),
    }
}

fn compare(column: Expr, field: &'static Field, test: &Test) -> Expr {
    let value = |value: &Value| Expr::val(rows::bind(value));
    let list = |values: &[Value]| rows::pack_values(values);
    match test {
        Test::Eq(to) => column.eq(value(to)),
        Test::Neq(to) => column.ne(value(to)),
        Test::Lt(to) => column.lt(value(to)),
        Test::Lte(to) => column.lte(value(to)),
        Test::Gt(to) => column.gt(value(to)),
        Test::Gte(to) => column.gte(value(to)),
        Test::In(values) => dialect::is_in(column, &list(values)),
        Test::Nin(values) => dialect::is_in(column, &list(values)).not(),
        Test::Between(low, high) => column.between(value(low), value(high)),
        Test::Nbetween(low, high) => column.not_between(value(low), value(high)),
        Test::Empty if is_text(field) => column.clone().is_null().or(column.eq("")),
        Test::Nempty if is_text(field) => column.clone().is_not_null().and(column.ne("")),
        Test::Null | Test::Empty => column.is_null(),
        Test::Nnull | Test::Nempty => column.is_not_null(),
        Test::Text { position, text, ignore_case, negated } => {
            let holds = dialect::holds(column, *position, text, *ignore_case);
            if *negated { holds.not() } else { holds }
        }
    }
}

const fn is_text(field: &Field) -> bool {
    matches!(field.kind, Kind::Text | Kind::Secret)
}

/// Returns the condition that a text field contains the text, ignoring case, or that a number or
/// key equals it.
pub(super) fn search(table: &str, text: &str, fields: &[&'static Field]) -> Condition {
    let mut any = Cond::any();
    for field in fields {
        let column = column(table, field);
        match field.kind {
            Kind::Text => any = any.add(dialect::holds(column, TextPosition::Anywhere, text, true)),
            Kind::Integer => {
                if let Ok(number) = text.parse::<i64>() {
                    any = any.add(column.eq(number));
                }
            }
            Kind::Uuid | Kind::ToOne(_) => {
                if let Ok(id) = uuid::Uuid::try_parse(text) {
                    any = any.add(column.eq(id.to_string()));
                }
            }
            _ => {}
        }
    }
    // An empty condition would be true.
    if any.is_empty() { any.add(Expr::val(1).eq(0)) } else { any }
}
