//! Compiles a query and a scope to one statement. Names come from the schema; values are bound.

mod condition;
mod totals;

use sea_query::{
    Alias, Asterisk, Expr, ExprTrait, Func, NullOrdering, Order, OrderedStatement, OverStatement,
    Query as Sql, SelectStatement, WindowStatement,
};

use crate::model::{Collection, Field, Key, Value};
use crate::query::{Filter, Select, Sort, Term};
use crate::store::compile::condition::column;
use crate::store::compile::condition::search;
use crate::store::compile::condition::term;
use crate::store::dialect;
use crate::store::rows;
use crate::store::search::Candidates;

pub(super) use totals::totals;

/// The alias of the main table of a statement.
const ROOT: &str = "t";

/// The alias of the rank of a row among those that refer to the same item.
const PLACE: &str = "place";

/// Returns the statement that reads whole rows, limited to the candidates if there are any.
pub(super) fn rows(
    collection: &'static Collection,
    select: &Select,
    candidates: Option<&Candidates>,
) -> SelectStatement {
    let mut builder = Builder::new(collection);
    builder.columns();
    builder.restrict(select, candidates);
    for key in builder.order(&select.sort) {
        key.add_to(&mut builder.sql);
    }
    builder.page(select);
    builder.sql
}

/// Returns the statement that reads some matching rows, in no particular order: an order would make
/// the database visit all of them first.
pub(super) fn some_rows(
    collection: &'static Collection,
    filter: &Filter,
    limit: u64,
) -> SelectStatement {
    let mut builder = Builder::new(collection);
    builder.columns();
    let select = Select { filter: filter.clone(), limit: Some(limit), ..Select::default() };
    builder.restrict(&select, None);
    builder.page(&select);
    builder.sql
}

/// Returns the statement that counts the rows of [`rows`], ignoring the page.
pub(super) fn count(
    collection: &'static Collection,
    select: &Select,
    candidates: Option<&Candidates>,
) -> SelectStatement {
    let mut builder = Builder::new(collection);
    // Without a condition, SQLite counts `*` by the pages of an index.
    builder.sql.expr(Expr::from(Func::count(Expr::col(Asterisk))));
    builder.restrict(select, candidates);
    builder.sql
}

/// Like [`rows`], but with one page for each of these keys that `back` refers to.
pub(super) fn rows_of_each(
    collection: &'static Collection,
    back: &'static Field,
    keys: &[Key],
    select: &Select,
) -> SelectStatement {
    let mut builder = Builder::new(collection);
    builder.columns();
    let keys: Vec<Value> = keys.iter().map(|key| Value::from(*key)).collect();
    let pointing = dialect::is_in(column(ROOT, back), &rows::pack_values(&keys));
    builder.sql.and_where(pointing);
    builder.restrict(select, None);
    let mut window = WindowStatement::new();
    window.add_partition_by(column(ROOT, back));
    for key in builder.order(&select.sort) {
        key.add_to(&mut window);
    }
    builder.sql.expr_window_as(Func::cust("ROW_NUMBER"), window, PLACE);

    let mut outer = Sql::select();
    for field in collection.columns() {
        outer.column((ROOT, field.name));
    }
    outer.from_subquery(builder.sql, ROOT);
    let place = || Expr::col((ROOT, PLACE));
    let offset = i64::try_from(select.offset).unwrap_or(i64::MAX);
    if offset > 0 {
        outer.and_where(place().gt(offset));
    }
    if let Some(limit) = select.limit {
        let last = offset.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX));
        outer.and_where(place().lte(last));
    }
    outer.order_by((ROOT, PLACE), Order::Asc);
    outer
}

struct Builder {
    collection: &'static Collection,
    root: String,
    sql: SelectStatement,
    joined: Vec<String>,
}

/// One key of an order.
struct OrderKey {
    by: Expr,
    order: Order,
    nulls: Option<NullOrdering>,
}

impl OrderKey {
    fn add_to(self, statement: &mut impl OrderedStatement) {
        match self.nulls {
            None => statement.order_by_expr(self.by, self.order),
            Some(nulls) => statement.order_by_expr_with_nulls(self.by, self.order, nulls),
        };
    }
}

impl Builder {
    fn new(collection: &'static Collection) -> Self {
        Self::at(collection, ROOT)
    }

    fn at(collection: &'static Collection, root: &str) -> Self {
        let mut sql = Sql::select();
        sql.from_as(collection.name, Alias::new(root));
        Self { collection, root: root.to_owned(), sql, joined: Vec::new() }
    }

    fn columns(&mut self) {
        for field in self.collection.columns() {
            self.sql.column((ROOT, field.name));
        }
    }

    fn restrict(&mut self, select: &Select, candidates: Option<&Candidates>) {
        let root = self.root.clone();
        if let Some(candidates) = candidates {
            let key = column(&root, self.collection.key());
            self.sql.and_where(candidates.condition(key));
        }
        let condition = self.condition(&select.filter, &root);
        if !condition.is_empty() {
            self.sql.cond_where(condition);
        }
        if let Some((text, fields)) = &select.search {
            self.sql.cond_where(search(&root, text, fields));
        }
    }

    fn page(&mut self, select: &Select) {
        if let Some(limit) = select.limit {
            self.sql.limit(limit);
        } else if select.offset > 0 {
            // An offset requires a limit before it.
            self.sql.limit(i64::MAX.unsigned_abs());
        }
        if select.offset > 0 {
            self.sql.offset(select.offset);
        }
    }

    fn order(&mut self, sort: &[Sort]) -> Vec<OrderKey> {
        let mut keys = Vec::with_capacity(sort.len() + 1);
        let mut last = Order::Asc;
        let mut by_key = false;
        for key in sort {
            let mut table = self.root.clone();
            for step in &key.path {
                table = self.join(&table, step);
            }
            last = if key.descending { Order::Desc } else { Order::Asc };
            // Items without an author sort where null does: first, as in the reference
            // implementation.
            let nulls = (!key.path.is_empty() && key.field.index != 0).then_some({
                if key.descending { NullOrdering::Last } else { NullOrdering::First }
            });
            let by = term(&table, Term { field: key.field, part: key.part });
            keys.push(OrderKey { by, order: last.clone(), nulls });
            by_key |= key.path.is_empty() && key.field == self.collection.key();
        }
        if !by_key {
            // Ties are sorted by key, in the order of creation.
            let by = column(&self.root, self.collection.key());
            keys.push(OrderKey { by, order: last, nulls: None });
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use sea_query::SqliteQueryBuilder;

    use super::*;
    use crate::model::schema::access;
    use crate::model::schema::messages;
    use crate::model::schema::policies;
    use crate::model::schema::users;
    use crate::model::schema::{ACCESS, MESSAGES, USERS};
    use crate::query::{Test, TextPosition};

    fn sql(select: &Select) -> String {
        rows(&MESSAGES, select, None).to_string(SqliteQueryBuilder)
    }

    #[test]
    fn the_tutorial_history_query_compiles() {
        let select = Select {
            sort: vec![Sort {
                path: Vec::new(),
                field: &messages::date_created,
                part: None,
                descending: true,
            }],
            limit: Some(10),
            ..Select::default()
        };

        assert_eq!(
            sql(&select),
            r#"SELECT "t"."id", "t"."user_created", "t"."date_created", "t"."content", "#
                .to_owned()
                + r#""t"."user_updated", "t"."date_updated", "t"."guest" FROM "messages" AS "t" "#
                + r#"ORDER BY "t"."date_created" DESC, "t"."id" DESC LIMIT 10"#
        );
    }

    #[test]
    fn filters_on_one_relation_share_a_join() {
        let name = |text: &str| {
            Filter::Related(
                &messages::user_created,
                Box::new(Filter::Field(&users::first_name, Test::Eq(Value::text(text)))),
            )
        };
        let select =
            Select { filter: Filter::Or(vec![name("Bob"), name("O'Neil")]), ..Select::default() };

        let sql = sql(&select);

        assert_eq!(sql.matches("LEFT JOIN").count(), 1, "{sql}");
        assert!(sql.contains("'O''Neil'"), "{sql}");
    }

    #[test]
    fn an_empty_and_is_true_and_an_empty_or_is_false() {
        let open =
            Filter::Or(vec![Filter::everything(), Filter::Field(&messages::content, Test::Null)]);
        let shut = Filter::Or(Vec::new());

        assert!(sql(&Select { filter: open, ..Select::default() }).contains("1 = 1 OR"));
        assert!(sql(&Select { filter: shut, ..Select::default() }).contains("1 = 0"));
    }

    #[test]
    fn a_thousand_alternatives_compile_to_a_shallow_expression() {
        let test = |number| Filter::Field(MESSAGES.key(), Test::Eq(Value::Integer(number)));
        let filter = Filter::Or((0..1000).map(test).collect());

        let sql = sql(&Select { filter, ..Select::default() });

        let alone = sql.split(['(', ')']).map(|part| part.matches(" OR ").count()).max();
        assert!(alone <= Some(16), "{alone:?}");
        assert_eq!(sql.matches(" OR ").count(), 999);
    }

    #[test]
    fn wildcards_in_a_text_are_literal() {
        let test = Test::Text {
            position: TextPosition::Anywhere,
            text: "100%".into(),
            ignore_case: false,
            negated: true,
        };
        let filter = Filter::Field(&messages::content, test);

        let sql = sql(&Select { filter, ..Select::default() });

        assert!(sql.contains(r#"NOT instr("t"."content", '100%') > 0"#), "{sql}");
    }

    #[test]
    fn a_list_condition_compiles_to_a_subquery() {
        let named = Filter::Related(
            &access::policy,
            Box::new(Filter::Field(&policies::name, Test::Eq(Value::text("A")))),
        );
        let policies = users::policies.field();
        let some = Filter::Some(policies, Box::new(named.clone()));
        let none = Filter::None(policies, Box::new(named));
        let sql = |filter| {
            let select = Select { filter, ..Select::default() };
            count(&USERS, &select, None).to_string(SqliteQueryBuilder)
        };

        let exists = r#"EXISTS(SELECT 1 FROM "directus_access" AS "t_policies" "#.to_owned()
            + r#"LEFT JOIN "directus_policies" AS "t_policies_policy" "#
            + r#"ON "t_policies"."policy" = "t_policies_policy"."id" "#
            + r#"WHERE "t_policies"."user" = "t"."id" AND "#
            + r#""t_policies_policy"."name" = 'A')"#;
        let from = r#"SELECT COUNT(*) FROM "directus_users" AS "t" WHERE "#;
        assert_eq!(sql(some), format!("{from}{exists}"));
        assert_eq!(sql(none), format!("{from}NOT {exists}"));
    }

    #[test]
    fn a_page_per_parent_compiles_to_a_window_function() {
        let select = Select { limit: Some(2), offset: 3, ..Select::default() };
        let keys = [1, 2].map(|id| Key::Uuid(uuid::Uuid::from_u128(id)));

        let statement = rows_of_each(&ACCESS, &access::user, &keys, &select);

        let sql = statement.to_string(SqliteQueryBuilder);
        let window = r#"ROW_NUMBER() OVER ( PARTITION BY "t"."user" ORDER BY "t"."id" ASC )"#;
        assert!(sql.contains(window), "{sql}");
        let page = r#"WHERE "t"."place" > 3 AND "t"."place" <= 5 ORDER BY "t"."place" ASC"#;
        assert!(sql.ends_with(page), "{sql}");
    }
}
