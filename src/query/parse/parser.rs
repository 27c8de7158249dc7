//! The remaining budget of one query, and the fields it may name.

use crate::model::Collection;
use crate::model::Field;
use crate::query::FieldVisibility;
use crate::query::Limits;
use crate::query::QueryError;

/// The remaining limits of one query. Parts that would exceed them are refused.
pub struct Budget<'a> {
    limits: Limits,
    left: usize,
    relations_left: usize,
    visibility: Option<&'a dyn FieldVisibility>,
}

impl<'a> Budget<'a> {
    pub fn new(limits: &Limits, visibility: Option<&'a dyn FieldVisibility>) -> Self {
        let (left, relations_left) = (limits.parts, limits.relations);
        Self { limits: limits.clone(), left, relations_left, visibility }
    }

    /// Returns the field with this name, unless it does not exist or may not be named.
    pub fn field(&self, collection: &'static Collection, name: &str) -> Option<&'static Field> {
        let field = collection.field(name)?;
        self.visibility.is_none_or(|visibility| visibility.sees(collection, field)).then_some(field)
    }

    /// Counts one part: a field, a sort key, a filter test, a value in a filter list, an aggregate.
    pub fn take(&mut self) -> Result<(), QueryError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            QueryError::invalid(format!("A query may have at most {} parts", self.limits.parts))
        })?;
        Ok(())
    }

    /// Counts relations that are followed.
    pub fn follow(&mut self, count: usize) -> Result<(), QueryError> {
        self.relations_left = self.relations_left.checked_sub(count).ok_or_else(|| {
            QueryError::invalid(format!(
                "A query may follow at most {} relations",
                self.limits.relations
            ))
        })?;
        Ok(())
    }

    /// Checks the length of a search text.
    pub fn check_needle(&self, text: &str) -> Result<(), QueryError> {
        let max = self.limits.term;
        // Counting is only needed if there are more bytes than allowed characters.
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

    /// Returns the limits of the query.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}
