//! Selections of the newest messages.

use crate::model::schema;
use crate::query::{Scope, Select, Sort};
use crate::store::recent::Order;

impl Select {
    /// Returns the selection of the newest messages, newest first.
    pub(super) fn newest(limit: usize) -> Self {
        let field = schema::messages::date_created.field();
        let sort = vec![Sort { path: Vec::new(), field, part: None, descending: true }];
        Self { sort, limit: u64::try_from(limit).ok(), ..Self::default() }
    }

    /// Returns the order, limit and offset if this selects the newest messages and nothing else.
    pub(super) fn as_newest(&self, scope: &Scope) -> Option<(Order, u64, u64)> {
        let is_key = |sort: &Sort| sort.field == schema::MESSAGES.key();
        let is_date = |sort: &Sort| *sort.field == schema::messages::date_created;
        let order = match self.sort.as_slice() {
            [key] if is_key(key) => Order::Key,
            [date] if is_date(date) => Order::Date,
            [date, tie] if is_date(date) && is_key(tie) => Order::Date,
            _ => return None,
        };
        let is_plain = |sort: &Sort| sort.descending && sort.path.is_empty() && sort.part.is_none();
        let plain = *scope.collection() == schema::MESSAGES
            && self.sort.iter().all(is_plain)
            && self.search.is_none()
            && self.filter.is_everything()
            && scope.filter().is_everything();
        if plain { self.limit.map(|limit| (order, limit, self.offset)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Filter;

    /// Returns a page sorted by these fields; `true` sorts a field in descending order.
    fn page(order: &[(&str, bool)]) -> Select {
        let sort = order.iter().map(|(name, descending)| Sort {
            path: Vec::new(),
            field: schema::MESSAGES.field(name).unwrap(),
            part: None,
            descending: *descending,
        });
        Select { sort: sort.collect(), limit: Some(20), offset: 5, ..Select::default() }
    }

    #[test]
    fn plain_pages_of_the_newest_messages_are_recognized() {
        let scope = Scope::grant(&schema::MESSAGES, true, Vec::new());
        let users = Scope::grant(&schema::USERS, true, Vec::new());
        let (date, key) = (("date_created", true), ("id", true));

        assert_eq!(page(&[key]).as_newest(&scope), Some((Order::Key, 20, 5)));
        for order in [&[date][..], &[date, key]] {
            assert_eq!(page(order).as_newest(&scope), Some((Order::Date, 20, 5)));
        }

        let others: [&[(&str, bool)]; 6] = [
            &[],
            &[("id", false)],
            &[("date_created", false)],
            &[date, ("id", false)],
            &[key, date],
            &[("content", true)],
        ];
        for order in others {
            assert_eq!(page(order).as_newest(&scope), None, "{order:?}");
        }
        assert_eq!(page(&[key]).as_newest(&users), None);
        let filter = Filter::Or(Vec::new());
        assert_eq!(Select { filter, ..page(&[key]) }.as_newest(&scope), None);
        assert_eq!(Select { limit: None, ..page(&[key]) }.as_newest(&scope), None);
    }
}
