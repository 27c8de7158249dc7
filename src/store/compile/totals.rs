//! Compiles `aggregate` and `groupBy` to one statement.

use sea_query::{Alias, Expr, Func, Order, SelectStatement};

use crate::model::Collection;
use crate::query::{Aggregation, Operation, Select, Total, TotalsKey};
use crate::store::compile::condition::term;
use crate::store::compile::{Builder, ROOT};
use crate::store::dialect;
use crate::store::search::Candidates;

/// Returns the statement that reads, for each group, its own values and then its totals. The order
/// of the selection is ignored: groups have their own.
pub(in crate::store) fn totals(
    collection: &'static Collection,
    select: &Select,
    totals: &Aggregation,
    candidates: Option<&Candidates>,
) -> SelectStatement {
    let mut builder = Builder::new(collection);
    for (place, (_, group)) in totals.groups.iter().enumerate() {
        let key = TotalsKey::Group(place);
        builder.sql.expr_as(term(ROOT, *group), name(key));
        // By name, since two expressions with bound values never count as the same.
        builder.sql.add_group_by([Expr::col(name(key))]);
    }
    for (place, sum) in totals.totals.iter().enumerate() {
        builder.sql.expr_as(total(sum), name(TotalsKey::Total(place)));
    }
    builder.restrict(select, candidates);
    for sort in &totals.sort {
        let order = if sort.descending { Order::Desc } else { Order::Asc };
        builder.sql.order_by(name(sort.by), order);
    }
    for key in (0..totals.groups.len()).map(TotalsKey::Group) {
        if !totals.sort.iter().any(|sort| sort.by == key) {
            builder.sql.order_by(name(key), Order::Asc);
        }
    }
    builder.page(select);
    builder.sql
}

fn name(key: TotalsKey) -> Alias {
    Alias::new(match key {
        TotalsKey::Group(place) => format!("group_{place}"),
        TotalsKey::Total(place) => format!("total_{place}"),
    })
}

fn total(total: &Total) -> Expr {
    let Some(of) = total.of else { return Func::count(Expr::val(1)).into() };
    let column = term(ROOT, of);
    match total.operation {
        Operation::Count | Operation::CountAll => Func::count(column).into(),
        Operation::CountDistinct => Func::count_distinct(column).into(),
        Operation::Sum => Func::sum(dialect::real(column)).into(),
        Operation::SumDistinct => Expr::cust_with_expr("SUM(DISTINCT ?)", dialect::real(column)),
        Operation::Avg => Func::avg(dialect::real(column)).into(),
        Operation::AvgDistinct => Expr::cust_with_expr("AVG(DISTINCT ?)", dialect::real(column)),
        Operation::Min => Func::min(column).into(),
        Operation::Max => Func::max(column).into(),
    }
}

#[cfg(test)]
mod tests {
    use sea_query::SqliteQueryBuilder;

    use super::*;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::messages;
    use crate::query::{DatePart, Filter, Term, Test, TotalsSort};

    #[test]
    fn groups_and_totals_compile_to_one_statement() {
        let year = Term { field: &messages::date_created, part: Some(DatePart::Year) };
        let author = Term::from(messages::user_created.field());
        let asked = Aggregation {
            groups: vec![(author.name(), author), (year.name(), year)],
            totals: vec![
                Total { operation: Operation::Count, of: None },
                Total {
                    operation: Operation::SumDistinct,
                    of: Some(Term::from(messages::id.field())),
                },
            ],
            sort: vec![TotalsSort { by: TotalsKey::Total(0), descending: true }],
        };
        let select = Select {
            filter: Filter::Field(&messages::content, Test::Nnull),
            limit: Some(5),
            ..Select::default()
        };

        let sql = totals(&MESSAGES, &select, &asked, None).to_string(SqliteQueryBuilder);

        assert_eq!(
            sql,
            [
                r#"SELECT "t"."user_created" AS "group_0","#,
                "CAST(strftime('%Y',",
                r#"("t"."date_created" - ((("t"."date_created" % 1000) + 1000) % 1000)) / 1000,"#,
                r#"'unixepoch') AS integer) AS "group_1","#,
                r#"COUNT(1) AS "total_0","#,
                r#"SUM(DISTINCT CAST("t"."id" AS real)) AS "total_1""#,
                r#"FROM "messages" AS "t" WHERE "t"."content" IS NOT NULL"#,
                r#"GROUP BY "group_0", "group_1""#,
                r#"ORDER BY "total_0" DESC, "group_0" ASC, "group_1" ASC LIMIT 5"#,
            ]
            .join(" ")
        );
    }
}
