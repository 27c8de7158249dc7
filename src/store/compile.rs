//! A query and a scope to one statement. Names come from the schema, values are always bound.
//!
//! A condition through a relation is a left join; the relation is there if its key is not null.

use sea_query::Cond;
use sea_query::Condition;
use sea_query::Expr;
use sea_query::ExprTrait;
use sea_query::Func;
use sea_query::NullOrdering;
use sea_query::Order;
use sea_query::Query as Sql;
use sea_query::SelectStatement;

use crate::model::Collection;
use crate::model::Field;
use crate::model::Kind;
use crate::model::Value;
use crate::query::Filter;
use crate::query::Sort;
use crate::query::Test;
use crate::store::dialect;
use crate::store::read::Select;
use crate::store::rows;

/// The alias of the table that a statement is about.
const ROOT: &str = "t";

/// Returns the statement that reads whole rows.
pub(super) fn rows(collection: &'static Collection, select: &Select) -> SelectStatement {
    let mut builder = Builder::new(collection);
    for field in collection.columns() {
        builder.sql.column((ROOT, field.name));
    }
    builder.restrict(select);
    builder.order(&select.sort);
    if let Some(limit) = select.limit {
        builder.sql.limit(limit);
    } else if select.offset > 0 {
        // An offset needs a limit in front of it.
        builder.sql.limit(i64::MAX.unsigned_abs());
    }
    if select.offset > 0 {
        builder.sql.offset(select.offset);
    }
    builder.sql
}

/// Returns the statement that counts what [`rows`] finds, whatever the page.
pub(super) fn count(collection: &'static Collection, select: &Select) -> SelectStatement {
    let mut builder = Builder::new(collection);
    builder.sql.expr(Expr::from(Func::count(Expr::val(1))));
    builder.restrict(select);
    builder.sql
}

struct Builder {
    collection: &'static Collection,
    sql: SelectStatement,
    joined: Vec<String>,
}

impl Builder {
    fn new(collection: &'static Collection) -> Self {
        let mut sql = Sql::select();
        sql.from_as(collection.name, ROOT);
        Self { collection, sql, joined: Vec::new() }
    }

    fn restrict(&mut self, select: &Select) {
        let condition = self.condition(&select.filter, ROOT);
        if !condition.is_empty() {
            self.sql.cond_where(condition);
        }
        if let Some((text, fields)) = &select.search {
            self.sql.cond_where(search(text, fields));
        }
    }

    fn order(&mut self, sort: &[Sort]) {
        let mut descending = false;
        let mut by_key = false;
        for key in sort {
            let mut table = ROOT.to_owned();
            for step in &key.path {
                table = self.join(&table, step);
            }
            let order = if key.descending { Order::Desc } else { Order::Asc };
            let column = Expr::col((sea_query::Alias::new(table), key.field.name));
            if key.path.is_empty() || key.field.index == 0 {
                self.sql.order_by_expr(column, order);
            } else {
                // Without an author comes where null comes: first, as the reference has it.
                let nulls = if key.descending { NullOrdering::Last } else { NullOrdering::First };
                self.sql.order_by_expr_with_nulls(column, order, nulls);
            }
            descending = key.descending;
            by_key |= key.path.is_empty() && key.field == self.collection.key();
        }
        if !by_key {
            // Items that are alike otherwise come in the order in which they were made.
            let order = if descending { Order::Desc } else { Order::Asc };
            self.sql.order_by((ROOT, self.collection.key().name), order);
        }
    }

    /// Joins what lies behind a to-one relation, once, and returns its alias.
    fn join(&mut self, table: &str, field: &'static Field) -> String {
        let alias = format!("{table}_{}", field.name);
        let Some(target) = field.target() else {
            return table.to_owned();
        };
        if !self.joined.contains(&alias) {
            let here = Expr::col((sea_query::Alias::new(table), field.name));
            let there = Expr::col((sea_query::Alias::new(&alias), target.key().name));
            self.sql.join_as(
                sea_query::JoinType::LeftJoin,
                target.name,
                sea_query::Alias::new(&alias),
                here.eq(there),
            );
            self.joined.push(alias.clone());
        }
        alias
    }

    fn condition(&mut self, filter: &Filter, table: &str) -> Condition {
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
                let column = Expr::col((sea_query::Alias::new(table), field.name));
                Cond::all().add(compare(column, field, test))
            }
            Filter::Related(field, inner) => {
                let Some(target) = field.target() else {
                    return Cond::all().add(Expr::val(1).eq(0));
                };
                let alias = self.join(table, field);
                let there = Expr::col((sea_query::Alias::new(&alias), target.key().name));
                let inner = self.condition(inner, &alias);
                let here = Cond::all().add(there.is_not_null());
                if inner.is_empty() { here } else { here.add(inner) }
            }
        }
    }
}

/// Joins conditions as a tree instead of a chain, since the depth of expressions is bounded.
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
        Test::Text { place, text, ignore_case, negated } => {
            let holds = dialect::holds(column, *place, text, *ignore_case);
            if *negated { holds.not() } else { holds }
        }
    }
}

const fn is_text(field: &Field) -> bool {
    matches!(field.kind, Kind::Text | Kind::Secret)
}

/// Every text field that contains the text, without case, or a number or key that equals it.
fn search(text: &str, fields: &[&'static Field]) -> Condition {
    let mut any = Cond::any().add(Expr::val(1).eq(0));
    for field in fields {
        let column = Expr::col((ROOT, field.name));
        match field.kind {
            Kind::Text => {
                let place = crate::query::Place::Anywhere;
                any = any.add(dialect::holds(column, place, text, true));
            }
            Kind::Integer => {
                if let Ok(number) = text.parse::<i64>() {
                    any = any.add(column.eq(number));
                }
            }
            Kind::Uuid => {
                if let Ok(id) = uuid::Uuid::try_parse(text) {
                    any = any.add(column.eq(id.to_string()));
                }
            }
            _ => {}
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use sea_query::SqliteQueryBuilder;

    use super::*;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::USERS;
    use crate::query::Place;

    fn sql(select: &Select) -> String {
        rows(&MESSAGES, select).to_string(SqliteQueryBuilder)
    }

    #[test]
    fn the_tutorials_history() {
        let select = Select {
            sort: vec![Sort {
                path: Vec::new(),
                field: MESSAGES.require("date_created"),
                descending: true,
            }],
            limit: Some(10),
            ..Select::default()
        };

        assert_eq!(
            sql(&select),
            r#"SELECT "t"."id", "t"."user_created", "t"."date_created", "t"."content", "#
                .to_owned()
                + r#""t"."user_updated", "t"."date_updated" FROM "messages" AS "t" "#
                + r#"ORDER BY "t"."date_created" DESC, "t"."id" DESC LIMIT 10"#
        );
    }

    #[test]
    fn a_filter_through_a_relation_is_one_join() {
        let name = |text: &str| {
            Filter::Related(
                MESSAGES.require("user_created"),
                Box::new(Filter::Field(USERS.require("first_name"), Test::Eq(Value::text(text)))),
            )
        };
        let select =
            Select { filter: Filter::Or(vec![name("Bob"), name("O'Neil")]), ..Select::default() };

        let sql = sql(&select);

        assert_eq!(sql.matches("LEFT JOIN").count(), 1, "{sql}");
        assert!(sql.contains("'O''Neil'"), "{sql}");
    }

    #[test]
    fn an_empty_alternative_is_true_and_an_empty_list_of_them_false() {
        let open = Filter::Or(vec![
            Filter::everything(),
            Filter::Field(MESSAGES.require("content"), Test::Null),
        ]);
        let shut = Filter::Or(Vec::new());

        assert!(sql(&Select { filter: open, ..Select::default() }).contains("1 = 1 OR"));
        assert!(sql(&Select { filter: shut, ..Select::default() }).contains("1 = 0"));
    }

    #[test]
    fn a_thousand_alternatives_are_no_deep_expression() {
        let test = |number| Filter::Field(MESSAGES.key(), Test::Eq(Value::Integer(number)));
        let filter = Filter::Or((0..1000).map(test).collect());

        let sql = sql(&Select { filter, ..Select::default() });

        let alone = sql.split(['(', ')']).map(|part| part.matches(" OR ").count()).max();
        assert!(alone <= Some(16), "{alone:?}");
        assert_eq!(sql.matches(" OR ").count(), 999);
    }

    #[test]
    fn wildcards_in_a_text_are_ordinary_characters() {
        let test = Test::Text {
            place: Place::Anywhere,
            text: "100%".into(),
            ignore_case: false,
            negated: true,
        };
        let filter = Filter::Field(MESSAGES.require("content"), test);

        let sql = sql(&Select { filter, ..Select::default() });

        assert!(sql.contains(r#"NOT instr("t"."content", '100%') > 0"#), "{sql}");
    }
}
