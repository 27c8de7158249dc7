//! How much one query may still ask for.

use crate::query::Limits;
use crate::query::QueryError;

/// What is left of the bounds of one query. A part that would exceed them is refused.
pub struct Budget {
    limits: Limits,
    left: usize,
}

impl Budget {
    pub fn new(limits: &Limits) -> Self {
        Self { limits: limits.clone(), left: limits.parts }
    }

    /// Takes one part: a field, a sort key, a filter test, a value in a filter's list, a total.
    pub fn take(&mut self) -> Result<(), QueryError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            QueryError::invalid(format!("A query may have at most {} parts", self.limits.parts))
        })?;
        Ok(())
    }

    /// Checks the number of names in a path.
    pub fn check_depth(&self, names: usize) -> Result<(), QueryError> {
        if names > self.limits.depth {
            return Err(QueryError::invalid("Max relational depth exceeded"));
        }
        Ok(())
    }

    /// Returns the bounds of lists.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}
