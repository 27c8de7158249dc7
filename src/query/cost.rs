//! The cost of evaluating a filter on a row in memory, as a relative number.

use crate::query::{Filter, Relations, Test, TextPosition};

/// The cost of a substring test, which scans the whole text, where other tests do one comparison.
const ANYWHERE: usize = 16;

impl Filter {
    /// Returns the approximate number of simple comparisons per record in the worst case.
    #[must_use]
    pub fn cost(&self) -> usize {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::cost).sum(),
            Self::Field(_, test) => test.cost(),
            Self::Part(_, _, test) => 1 + test.cost(),
            Self::Related(_, behind) | Self::Some(_, behind) | Self::None(_, behind) => {
                1 + behind.cost()
            }
        }
    }
}

impl Test {
    fn cost(&self) -> usize {
        match self {
            Self::In(values) | Self::Nin(values) => values.len(),
            Self::Text { position: TextPosition::Anywhere, .. } => ANYWHERE,
            _ => 1,
        }
    }
}

impl Relations {
    /// Returns whether a to-many relation is followed. Its items are not held in memory.
    #[must_use]
    pub fn lead_to_many(&self) -> bool {
        self.0.iter().any(|(field, behind)| field.pointing().is_some() || behind.lead_to_many())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;
    use crate::model::schema::MESSAGES;
    use crate::model::schema::messages;
    use crate::model::schema::users;

    #[test]
    fn filter_cost_grows_with_the_work_of_its_tests() {
        let number = |test| Filter::Field(MESSAGES.key(), test);
        let text = |position| {
            let (text, ignore_case, negated) = ("x".to_owned(), true, false);
            let content = messages::content.field();
            Filter::Field(content, Test::Text { position, text, ignore_case, negated })
        };
        let values = vec![Value::Integer(1); 5];
        let behind = Box::new(Filter::Field(&users::first_name, Test::Nnull));

        assert_eq!(Filter::everything().cost(), 0);
        assert_eq!(number(Test::Null).cost(), 1);
        assert_eq!(number(Test::In(values)).cost(), 5);
        assert_eq!(text(TextPosition::Start).cost(), 1);
        assert_eq!(text(TextPosition::Anywhere).cost(), ANYWHERE);
        let both = Filter::Or(vec![number(Test::Null), text(TextPosition::Anywhere)]);
        assert_eq!(both.cost(), 1 + ANYWHERE);
        let related = Filter::Related(&messages::user_created, behind);
        assert_eq!(related.cost(), 2);
        assert!(!related.relations().lead_to_many());
    }
}
