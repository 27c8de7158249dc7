//! One operation of the REST interface: its method, path and handler, and what its documentation
//! says. Routes and the OpenAPI document are made of the same list, so they cannot disagree.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use poem::Endpoint;
use poem::Request;
use poem::Response;
use poem::http::HeaderMap;
use poem::http::Method;
use poem_openapi::registry::MetaOperationParam;
use poem_openapi::registry::MetaSchemaRef;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::domain::auth::Identity;
use crate::domain::auth::Origin;
use crate::domain::items;
use crate::domain::items::Which;
use crate::domain::memory::Reservation;
use crate::domain::shares::Owner;
use crate::model::Action;
use crate::model::Actor;
use crate::model::Collection;
use crate::model::collection::Reach;
use crate::transport::Context;
use crate::transport::actor;
use crate::transport::address;
use crate::transport::error::Refusal;
use crate::transport::json_size;
use crate::transport::rest::answers;
use crate::transport::rest::body;
use crate::transport::rest::envelope;
use crate::transport::rest::query_string;

/// What a handler comes to.
pub type Reply = Result<Response, Refusal>;

/// Answers a call.
pub type Handler = fn(Call) -> BoxFuture<'static, Reply>;

/// One method of one path.
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The path, with `{names}` for its variable parts.
    pub path: String,
    /// Whom it is for.
    pub access: Access,
    /// The collection it is about, where the path does not name it.
    pub collection: Option<&'static Collection>,
    /// What a caller needs besides, for the description of the interface: rights are checked below.
    pub need: Need,
    /// Whether there may be secrets in the address or the response, so that no cache may store it.
    pub secret: bool,
    /// What answers it.
    pub handler: Handler,
    /// Its documentation.
    pub words: Words,
}

/// Whom an operation is for. Rights to items are checked below, item by item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Every caller; credentials are ignored.
    Open,
    /// Every caller; invalid or expired credentials count as none. For the operations of a sign-in page.
    Optional,
    /// Everybody; credentials that are no good are refused.
    Anyone,
    /// Whoever is signed in.
    SignedIn,
    /// Administrators.
    Administrators,
}

/// The need of an operation beyond its [`Access`]: without it each call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// An account.
    SignIn,
    /// A right to items of this collection or, without one, of some collection under `/items`.
    Right(Action, Option<&'static Collection>),
}

/// What the documentation says about an operation.
pub struct Words {
    /// The name that generated clients call it by.
    pub id: &'static str,
    /// The group it is listed in.
    pub tag: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// The rest of it.
    pub description: &'static str,
    /// Parameters of path and query.
    pub parameters: Vec<MetaOperationParam>,
    /// The body it takes.
    pub request: Option<Content>,
    /// What it answers when all is well.
    pub success: Success,
    /// What can go wrong besides credentials and a busy server.
    pub failures: Vec<Error>,
}

/// A body and an example of one.
pub struct Content {
    /// Its content type.
    pub content_type: &'static str,
    /// Its shape.
    pub schema: MetaSchemaRef,
    /// One like it.
    pub example: Json,
}

/// An answer that is no error.
pub struct Success {
    /// Its status.
    pub status: u16,
    /// What it means.
    pub description: &'static str,
    /// Its body; `None` for none.
    pub content: Option<Content>,
    /// Whether it may set cookies.
    pub cookies: bool,
    /// Whether it can also be `204`, for whoever may not see the result.
    pub unseen: bool,
    /// The body of a `200` that takes its place where a redirect was not asked for.
    pub without_redirect: Option<Content>,
}

impl Words {
    /// Returns the words of an operation that takes nothing, answers `204` and cannot fail in a way
    /// of its own. What is different is put in its place.
    #[must_use]
    pub fn new(
        tag: &'static str,
        id: &'static str,
        summary: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            id,
            tag,
            summary,
            description,
            parameters: vec![],
            request: None,
            success: Success::nothing("Done."),
            failures: vec![],
        }
    }
}

impl Content {
    /// Returns a JSON body.
    #[must_use]
    pub fn json(schema: MetaSchemaRef, example: Json) -> Self {
        Self { content_type: "application/json", schema, example }
    }
}

impl Success {
    /// Returns a `200` with a JSON body.
    #[must_use]
    pub fn json(description: &'static str, schema: MetaSchemaRef, example: Json) -> Self {
        let content = Some(Content::json(schema, example));
        Self {
            status: 200,
            description,
            content,
            cookies: false,
            unseen: false,
            without_redirect: None,
        }
    }

    /// Returns a `204`.
    #[must_use]
    pub fn nothing(description: &'static str) -> Self {
        Self {
            status: 204,
            description,
            content: None,
            cookies: false,
            unseen: false,
            without_redirect: None,
        }
    }

    /// Returns the same answer, which may set cookies.
    #[must_use]
    pub fn with_cookies(self) -> Self {
        Self { cookies: true, ..self }
    }

    /// Returns the same answer, which is `204` for whoever may not see the result.
    #[must_use]
    pub fn or_unseen(self) -> Self {
        Self { unseen: true, ..self }
    }
}

/// A request on its way through a handler: who asks, for what.
pub struct Call {
    /// The service.
    pub context: Arc<Context>,
    /// Who asks.
    pub identity: Identity,
    request: Request,
    collection: Option<&'static Collection>,
    /// What is reserved for the query and the body.
    memory: Reservation,
    /// How much of that is for the query.
    query_bytes: usize,
}

impl Call {
    /// Returns where the request comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        actor::origin(&self.request, &self.context.config.server.trust_proxy)
    }

    /// Returns who asks.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.identity.actor
    }

    /// Returns the account of who asks.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] if nobody is signed in.
    pub fn require_user(&self) -> Result<Uuid, Error> {
        self.actor().user.ok_or(Error::InvalidCredentials)
    }

    /// Returns the collection the call is about.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for one that there is not, or that is not reached by this path.
    pub fn collection(&self) -> Result<&'static Collection, Error> {
        self.collection.map_or_else(
            || items::require_collection(self.path_part("collection"), Reach::Items),
            Ok,
        )
    }

    /// Returns the one item that the path names.
    #[must_use]
    pub fn item(&self) -> Which {
        Which::One(Json::from(self.path_part("id")))
    }

    /// Returns a variable part of the path as a key, or `None` if it is none.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<Uuid> {
        Uuid::try_parse(self.path_part(name)).ok()
    }

    /// Returns the query of the address.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`] if it is out of bounds.
    pub fn query(&self) -> Result<Json, Error> {
        query_string::parse(self.request.uri().query(), self.context.config.server.json_depth_max)
    }

    /// Returns one parameter of the address as text.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        query_string::find(self.request.uri().query(), name)
    }

    /// Returns the JSON body, `None` if there is none or it is something else.
    ///
    /// # Errors
    /// As [`body::read`] and [`body::parse`].
    pub async fn body(&mut self) -> Result<Option<Json>, Refusal> {
        let bytes = self.read().await?;
        self.parse(&bytes)
    }

    /// Reads the body, for which memory is reserved as long as the call lives.
    async fn read(&mut self) -> Result<Bytes, Refusal> {
        let bytes_max = self.context.config.server.body_bytes_max;
        body::read(&mut self.request, bytes_max, &mut self.memory, self.query_bytes).await
    }

    fn parse(&mut self, bytes: &Bytes) -> Result<Option<Json>, Refusal> {
        let depth_max = self.context.config.server.json_depth_max;
        let kind = self.request.content_type();
        Ok(body::parse(kind, bytes, depth_max, &mut self.memory, self.query_bytes)?)
    }

    /// Returns the JSON body that holds values of items, `None` if there is none.
    ///
    /// # Errors
    /// As [`Call::body`]; [`Error::InvalidPayload`] for a body of another content type, whose values would
    /// be lost. (Where messages may be empty it counts as none, as in Directus.)
    pub async fn values(&mut self) -> Result<Option<Json>, Refusal> {
        let config = &self.context.config;
        let is_lenient = !config.query.require_content && self.collection()?.reach == Reach::Items;
        let bytes = self.read().await?;
        if !is_lenient && !bytes.is_empty() {
            body::require_json(self.request.content_type())?;
        }
        self.parse(&bytes)
    }

    /// Returns the fields of a form that a page sent; none if it is something else.
    ///
    /// # Errors
    /// As [`body::read`].
    pub async fn form(&mut self) -> Result<Vec<(String, String)>, Refusal> {
        let bytes = self.read().await?;
        let kind = self.request.content_type().unwrap_or_default();
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return Ok(Vec::new());
        }
        Ok(url::form_urlencoded::parse(&bytes).into_owned().collect())
    }

    /// Returns the headers of the request.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Returns the request itself.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns a variable part of the path as it was written; empty if there is none.
    #[must_use]
    pub fn path_part(&self, name: &str) -> &str {
        self.request.raw_path_param(name).unwrap_or_default()
    }
}

/// An operation, ready to answer.
pub struct Mounted {
    context: Arc<Context>,
    access: Access,
    collection: Option<&'static Collection>,
    secret: bool,
    handler: Handler,
}

impl Operation {
    /// Returns an operation that is about no collection, or about the one that its path names.
    #[must_use]
    pub fn new(
        method: Method,
        path: impl Into<String>,
        access: Access,
        handler: Handler,
        words: Words,
    ) -> Self {
        let secret = words.success.cookies;
        let (path, need) = (path.into(), Need::Nothing);
        Self { method, path, access, collection: None, need, secret, handler, words }
    }

    /// Returns the same operation, with secrets in the address or the response.
    #[must_use]
    pub fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// Returns the same operation, about a collection.
    #[must_use]
    pub fn about(self, collection: &'static Collection) -> Self {
        Self { collection: Some(collection), ..self }
    }

    /// Returns the same operation, which needs something besides.
    #[must_use]
    pub fn needing(self, need: Need) -> Self {
        Self { need, ..self }
    }

    /// Returns the operation as an endpoint of this service.
    #[must_use]
    pub fn mount(&self, context: Arc<Context>) -> Mounted {
        let Self { access, collection, secret, handler, .. } = *self;
        Mounted { context, access, collection, secret, handler }
    }
}

impl Mounted {
    async fn reply(&self, request: Request) -> Reply {
        let context = Arc::clone(&self.context);
        let identity = match self.access {
            Access::Open => {
                let from = address::of(&request, &context.config.server.trust_proxy);
                context.services.auth.public(from)
            }
            Access::Optional => actor::recognise_or_public(&context, &request).await?,
            _ => actor::recognise(&context, &request).await?,
        };
        let owner = Owner::of(&identity.actor);
        let is_change = actor::is_change(request.method());
        let mut memory = Reservation::new(&context.services.memory, owner);
        let query = request.uri().query().unwrap_or_default();
        let query_bytes = json_size::of_query(query.as_bytes());
        memory.resize(query_bytes)?;
        let call =
            Call { context, identity, request, collection: self.collection, memory, query_bytes };
        match self.access {
            Access::Open | Access::Optional | Access::Anyone => {}
            Access::SignedIn => {
                call.require_user()?;
            }
            Access::Administrators if call.actor().admin => {}
            Access::Administrators => return Err(Error::Forbidden(Forbidden::Action).into()),
        }
        let response = (self.handler)(call).await?;
        let memory = Reservation::new(&self.context.services.memory, owner);
        answers::hold(response, memory, is_change).await
    }
}

impl Endpoint for Mounted {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let response = self.reply(request).await.unwrap_or_else(|refusal| refusal.respond());
        Ok(if self.secret { envelope::without_store(response) } else { response })
    }
}
