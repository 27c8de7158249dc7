//! Parses operands of operators and resolves variables.

use serde_json::Value as Json;

use crate::model::{Kind, Value};
use crate::query::QueryError;
use crate::query::environment::Variable;
use crate::query::parse::json::not_scalar;
use crate::query::parse::json::value;
use crate::query::parse::parser::Parser;
use crate::text::pieces;

/// One operand.
pub enum Operand {
    /// Null, or one of the texts that represent it.
    Null,
    /// A variable without a value.
    Unset,
    /// A value of the field's type.
    One(Value),
    /// A variable with a list of values.
    Many(Vec<Value>),
}

/// Parses the operands of one operator on a field of this type.
pub struct OperandParser<'p, 'a> {
    pub parser: &'p mut Parser<'a>,
    pub kind: Kind,
    pub operator: &'p str,
}

impl OperandParser<'_, '_> {
    /// Parses an operand. The texts that represent null are recognized in every filter. Those of
    /// booleans depend on the type, since a text field is compared with the text.
    fn operand(&self, json: &Json) -> Result<Operand, QueryError> {
        match json {
            Json::Null => Ok(Operand::Null),
            Json::String(text) if matches!(text.as_str(), "null" | "NULL") => Ok(Operand::Null),
            _ => self.literal(json),
        }
    }

    /// Parses an operand that is not a list.
    pub fn scalar(&self, json: &Json) -> Result<Operand, QueryError> {
        self.refuse_empty(json)?;
        match self.operand(json)? {
            Operand::Many(_) => Err(self.not_scalar()),
            operand => Ok(operand),
        }
    }

    /// Parses the text of a text operator: texts that represent null are only texts.
    pub fn text(&self, json: &Json) -> Result<Operand, QueryError> {
        self.refuse_empty(json)?;
        self.literal(json)
    }

    fn literal(&self, json: &Json) -> Result<Operand, QueryError> {
        let value = |json: &Json| value(self.kind, json, self.operator);
        let variable = match json {
            Json::String(text) => self.parser.environment.resolve(text)?,
            _ => None,
        };
        match variable {
            None => value(json).map(Operand::One),
            Some(Variable::Unset) => Ok(Operand::Unset),
            Some(Variable::One(text)) => value(&Json::String(text)).map(Operand::One),
            Some(Variable::Many(texts)) => {
                let values = texts.into_iter().map(|text| value(&Json::String(text)));
                values.collect::<Result<_, _>>().map(Operand::Many)
            }
        }
    }

    /// Parses the operands of a list operator: a list, a comma-separated text, or a single value.
    pub fn operands(&mut self, json: &Json) -> Result<Vec<Operand>, QueryError> {
        match json {
            Json::Array(list) if !list.is_empty() => {
                list.iter().map(|entry| self.counted(entry)).collect()
            }
            Json::String(text) if !text.is_empty() => {
                pieces(text).map(|entry| self.counted(&Json::from(entry))).collect()
            }
            Json::Number(_) | Json::Bool(_) => Ok(vec![self.counted(json)?]),
            _ => Err(self.invalid("has to be an array of values")),
        }
    }

    /// Parses the operands, and returns the values among them; `None` if there are none.
    pub fn values(&mut self, json: &Json) -> Result<Option<Vec<Value>>, QueryError> {
        let mut values = Vec::new();
        for operand in self.operands(json)? {
            match operand {
                Operand::Null | Operand::Unset => {}
                Operand::One(value) => values.push(value),
                Operand::Many(many) => values.extend(many),
            }
        }
        Ok((!values.is_empty()).then_some(values))
    }

    /// Parses two bounds; `None` if one of them is a variable without a value.
    pub fn bounds(&mut self, json: &Json) -> Result<Option<(Value, Value)>, QueryError> {
        use Operand::{One, Unset};

        match <[Operand; 2]>::try_from(self.operands(json)?) {
            Ok([One(low), One(high)]) => Ok(Some((low, high))),
            Ok([One(_) | Unset, One(_) | Unset]) => Ok(None),
            _ => Err(self.invalid("has to be an array of two values")),
        }
    }

    /// Parses the operand of `_null` and its variants; no operand means true.
    pub fn flag(&self, json: &Json) -> Result<bool, QueryError> {
        match json {
            Json::Bool(flag) => Ok(*flag),
            Json::Null => Ok(true),
            Json::String(text) if matches!(text.as_str(), "" | "true" | "null" | "NULL") => {
                Ok(true)
            }
            Json::String(text) if text == "false" => Ok(false),
            _ => Err(self.invalid("has to be a boolean")),
        }
    }

    pub fn not_scalar(&self) -> QueryError {
        not_scalar(self.operator)
    }

    fn invalid(&self, reason: &str) -> QueryError {
        QueryError::invalid(format!("\"{}\" {reason}", self.operator))
    }

    fn refuse_empty(&self, json: &Json) -> Result<(), QueryError> {
        if json.as_str() == Some("") {
            let operator = self.operator;
            return Err(QueryError::invalid(format!(
                "You can't filter for an empty string in \"{operator}\". Use \"_empty\" or \
                 \"_nempty\" instead"
            )));
        }
        Ok(())
    }

    fn counted(&mut self, json: &Json) -> Result<Operand, QueryError> {
        self.parser.take()?;
        self.operand(json)
    }
}
