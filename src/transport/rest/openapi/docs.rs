//! The documentation of an operation, stated beside its handler: doc comments are its summary and
//! description, types of poem-openapi its bodies.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, Registry};
use poem_openapi::types::Type;
use serde::Serialize;
use serde_json::json;
use serde_json::{Map, Value as Json};

use crate::domain::Error;
use crate::transport::rest::fields::Body;
use crate::transport::rest::operation::Operation;

/// Declares the operations of a file, with their documentation: a doc comment with a summary and a
/// description, method, path and handler (after `now` one that does not wait), callers, tag and id.
/// Methods of [`Operation`] add the rest.
macro_rules! operations {
    ($(
        #[doc = $summary:literal] $(#[doc = $line:literal])*
        $method:ident $path:literal => $($handler:ident)+, $access:ident, $tag:expr, $id:literal
            $(. $call:ident $(::<$type:ty>)? ($($argument:expr),* $(,)?))*;
    )*) => {
        /// Returns the operations of this file, in documentation order.
        #[must_use]
        pub fn operations() -> Vec<$crate::transport::rest::operation::Operation> {
            vec![$({
                let docs = $crate::transport::rest::openapi::docs::OperationDocs::new(
                    $tag,
                    $id,
                    $summary.trim_ascii(),
                    concat!($($line),*).trim_ascii(),
                );
                $crate::transport::rest::operation::Operation::new(
                    ::poem::http::Method::$method,
                    $path,
                    $crate::transport::rest::operation::Access::$access,
                    $crate::transport::rest::openapi::docs::handler!($($handler)+),
                    docs,
                )
                $(. $call $(::<$type>)? ($($argument),*))*
            }),*]
        }
    };
}
pub(in crate::transport::rest) use operations;

/// Returns a function as a [`Handler`](crate::transport::rest::operation::Handler).
macro_rules! handler {
    (now $handler:ident) => {
        |call| Box::pin(std::future::ready(Ok($handler(&call))))
    };
    ($handler:path) => {
        |call| Box::pin($handler(call))
    };
}
pub(in crate::transport::rest) use handler;

/// Returns the text of a doc comment.
macro_rules! prose {
    ($(#[doc = $line:literal])+) => {
        concat!($($line),+).trim_ascii()
    };
}
pub(in crate::transport::rest) use prose;

/// Declares types with values in one format, as [`MetaSchema`]s of poem-openapi.
macro_rules! formats {
    ($($(#[$about:meta])* $name:ident($inner:ty) = $schema:expr;)*) => {$(
        $(#[$about])*
        pub struct $name(pub $inner);

        impl ::poem_openapi::types::Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_ref() -> ::poem_openapi::registry::MetaSchemaRef {
                ::poem_openapi::registry::MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ::poem_openapi::types::ToJSON for $name {
            fn to_json(&self) -> Option<::serde_json::Value> {
                ::serde_json::to_value(&self.0).ok()
            }
        }

        impl ::poem_openapi::types::ParseFromJSON for $name {
            fn parse_from_json(
                value: Option<::serde_json::Value>,
            ) -> ::poem_openapi::types::ParseResult<Self> {
                Ok(Self(::serde_json::from_value(value.unwrap_or_default())?))
            }
        }
    )*};
}
pub(in crate::transport::rest) use formats;

formats! {
    /// A UUID.
    Key(uuid::Uuid) = MetaSchema::new_with_format("string", "uuid");
    /// A date and time in ISO 8601.
    Date(String) = MetaSchema::new_with_format("string", "date-time");
}

/// Returns the schema of a text with one of these values.
pub(in crate::transport::rest) fn choice(values: &[&str]) -> MetaSchema {
    let enum_items = values.iter().copied().map(Json::from).collect();
    MetaSchema { enum_items, ..MetaSchema::new("string") }
}

/// Returns a schema that exactly one of two types has to match.
pub(in crate::transport::rest) fn one_of<A: Type, B: Type>() -> MetaSchema {
    MetaSchema { one_of: vec![A::schema_ref(), B::schema_ref()], ..MetaSchema::ANY }
}

/// The documentation of an operation.
pub struct OperationDocs {
    /// The name of the function in generated clients.
    pub id: Cow<'static, str>,
    /// The group it is listed in.
    pub tag: &'static str,
    /// A summary in one line.
    pub summary: Cow<'static, str>,
    /// A longer description.
    pub description: &'static str,
    /// Parameter Objects.
    pub parameters: Vec<Json>,
    /// Whether the parameter `export` requests a file.
    pub exports: bool,
    /// The request body.
    pub request: Option<Content>,
    /// The responses other than errors.
    pub responses: Vec<Success>,
    /// Errors other than those of credentials and an overloaded server.
    pub failures: Vec<Error>,
}

/// A body with an example.
pub struct Content {
    /// Its content type.
    pub media_type: &'static str,
    /// Its schema.
    pub schema: Json,
    /// An example.
    pub example: Json,
    /// Whether a request must have it.
    pub is_required: bool,
    /// Registers the types of the schema.
    pub register: fn(&mut Registry),
}

/// A response that is not an error.
pub struct Success {
    /// Its status.
    pub status: u16,
    /// Its description.
    pub description: &'static str,
    /// Its body, if any.
    pub content: Option<Content>,
    /// Whether it may set cookies.
    pub cookies: bool,
}

impl OperationDocs {
    /// Creates the documentation of an operation without parameters and body that returns `204` and
    /// has no errors of its own.
    #[must_use]
    pub fn new(
        tag: &'static str,
        id: impl Into<Cow<'static, str>>,
        summary: impl Into<Cow<'static, str>>,
        description: &'static str,
    ) -> Self {
        let done = Success { status: 204, description: "Done.", content: None, cookies: false };
        Self {
            id: id.into(),
            tag,
            summary: summary.into(),
            description,
            parameters: vec![],
            exports: false,
            request: None,
            responses: vec![done],
            failures: vec![],
        }
    }
}

impl Content {
    /// Creates a JSON body.
    #[must_use]
    pub fn json(schema: Json, example: Json) -> Self {
        let media_type = "application/json";
        Self { media_type, schema, example, is_required: true, register: |_| {} }
    }

    /// Creates a JSON body of this type.
    #[must_use]
    pub fn of<T: Type>(example: Json) -> Self {
        Self { register: T::register, ..Self::json(schema_of(&T::schema_ref()), example) }
    }
}

impl Operation {
    /// Adds parameters.
    #[must_use]
    pub fn with(mut self, parameters: impl IntoIterator<Item = Json>) -> Self {
        self.docs.parameters.extend(parameters);
        self
    }

    /// Sets the request body. Its first field is required.
    #[must_use]
    pub fn takes<T: Body>(self, example: Json) -> Self {
        let missing = format!("\"{}\" is required", T::NAMES[0]);
        self.takes_content(Content::of::<T>(example)).fails([Error::payload(missing)])
    }

    /// Sets the request body.
    #[must_use]
    pub fn takes_content(mut self, content: Content) -> Self {
        self.docs.request = Some(content);
        self
    }

    /// Sets the response to `200` with this type as data.
    #[must_use]
    pub fn returns<T: Type>(self, description: &'static str, example: Json) -> Self {
        let data = Content::of::<T>(example);
        self.returns_content(description, Content { register: T::register, ..enveloped(data) })
    }

    /// Sets the response to `200` with this schema as data.
    #[must_use]
    pub fn returns_data(self, description: &'static str, schema: Json, example: Json) -> Self {
        self.returns_content(description, enveloped(Content::json(schema, example)))
    }

    /// Sets the response to `200` with this body.
    #[must_use]
    pub fn returns_content(mut self, description: &'static str, content: Content) -> Self {
        let (status, content) = (200, Some(content));
        self.docs.responses = vec![Success { status, description, content, cookies: false }];
        self
    }

    /// Sets the status of a response without body.
    #[must_use]
    pub fn returns_status(mut self, status: u16, description: &'static str) -> Self {
        self.docs.responses = vec![Success { status, description, content: None, cookies: false }];
        self
    }

    /// Adds a response.
    #[must_use]
    pub fn or(mut self, status: u16, description: &'static str, content: Option<Content>) -> Self {
        self.docs.responses.push(Success { status, description, content, cookies: false });
        self
    }

    /// Adds a `204` for callers that may not read the result.
    #[must_use]
    pub fn or_unseen(self) -> Self {
        self.or(204, "Done, but the caller may not read the result.", None)
    }

    /// Marks the responses as possibly setting cookies, which no cache may store.
    #[must_use]
    pub fn with_cookies(mut self) -> Self {
        self.docs.responses.iter_mut().for_each(|response| response.cookies = true);
        self.secret()
    }

    /// Documents that the parameter `export` requests a file.
    #[must_use]
    pub fn exports(mut self) -> Self {
        self.docs.exports = true;
        self
    }

    /// Adds errors.
    #[must_use]
    pub fn fails(mut self, failures: impl IntoIterator<Item = Error>) -> Self {
        self.docs.failures.extend(failures);
        self
    }
}

fn enveloped(data: Content) -> Content {
    let wrap = |json: Json| Json::Object(Map::from_iter([("data".to_owned(), json)]));
    let schema = json!({"type": "object", "required": ["data"], "properties": wrap(data.schema)});
    Content { schema, example: wrap(data.example), ..data }
}

/// Returns a schema of poem-openapi as JSON.
pub(super) fn schema_of(schema: &impl Serialize) -> Json {
    serde_json::to_value(schema).expect("a schema is JSON")
}
