//! How much one query may still ask for.

use crate::query::Limits;
use crate::query::QueryError;

/// What is left of the bounds of one query. A part that would exceed them is refused.
pub struct Budget {
    limits: Limits,
    left: usize,
    relations_left: usize,
}

impl Budget {
    pub fn new(limits: &Limits) -> Self {
        Self { limits: limits.clone(), left: limits.parts, relations_left: limits.relations }
    }

    /// Takes one part: a field, a sort key, a filter test, a value in a filter's list, a total.
    pub fn take(&mut self) -> Result<(), QueryError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            QueryError::invalid(format!("A query may have at most {} parts", self.limits.parts))
        })?;
        Ok(())
    }

    /// Takes so many relations that are followed.
    pub fn follow(&mut self, count: usize) -> Result<(), QueryError> {
        self.relations_left = self.relations_left.checked_sub(count).ok_or_else(|| {
            QueryError::invalid(format!(
                "A query may follow at most {} relations",
                self.limits.relations
            ))
        })?;
        Ok(())
    }

    /// Checks the length of a text that is to be looked for inside others.
    pub fn check_needle(&self, text: &str) -> Result<(), QueryError> {
        let max = self.limits.needle;
        // A text has at least as many bytes as characters.
        if text.len() > max && text.chars().count() > max {
            return Err(QueryError::invalid(format!(
                "A text to look for may have at most {max} characters"
            )));
        }
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
