//! One operation of the REST interface: its method, path, handler and documentation. Routes and the
//! OpenAPI document are generated from the same list, so they cannot disagree.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use poem::http::{HeaderMap, Method};
use poem::{Endpoint, Request, Response};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::domain::auth::{ClientInfo, Identity};
use crate::domain::items;
use crate::domain::items::Which;
use crate::domain::memory::Reservation;
use crate::domain::quota::Owner;
use crate::domain::{Error, Forbidden};
use crate::model::collection::Exposure;
use crate::model::{Action, Actor, Collection};
use crate::transport::Context;
use crate::transport::actor;
use crate::transport::address;
use crate::transport::error::Refusal;
use crate::transport::json_size;
use crate::transport::rest::answers;
use crate::transport::rest::body;
use crate::transport::rest::envelope;
use crate::transport::rest::fields;
use crate::transport::rest::fields::Body;
use crate::transport::rest::openapi::docs::OperationDocs;
use crate::transport::rest::query_string;

/// The result of a handler.
pub type Reply = Result<Response, Refusal>;

/// Handles a call.
pub type Handler = fn(RequestContext) -> BoxFuture<'static, Reply>;

/// One method of one path.
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The path, with `{names}` for its variable parts.
    pub path: String,
    /// The callers it is for.
    pub access: Access,
    /// Its collection, if the path does not name it.
    pub collection: Option<&'static Collection>,
    /// Additional requirement, for the API description only: the domain checks rights.
    pub need: Need,
    /// Whether the URL or the response may contain secrets, so that no cache may store it.
    pub secret: bool,
    /// Its handler.
    pub handler: Handler,
    /// Its documentation.
    pub docs: OperationDocs,
}

/// The callers an operation is for. The domain checks rights to items, item by item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Every caller; credentials are ignored.
    Open,
    /// Every caller; invalid or expired credentials count as none. For sign-in pages.
    Optional,
    /// Every caller; invalid credentials are refused.
    Anyone,
    /// Signed-in callers.
    SignedIn,
    /// Administrators.
    Administrators,
}

/// A requirement beyond [`Access`], without which every call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// An account.
    SignIn,
    /// A right to items of this collection or, without one, of some collection under `/items`.
    Right(Action, Option<&'static Collection>),
}

/// A request in its handler, with its caller and context.
pub struct RequestContext {
    /// The service.
    pub context: Arc<Context>,
    /// The caller.
    pub identity: Identity,
    request: Request,
    collection: Option<&'static Collection>,
    /// Reservation for the query and the body.
    memory: Reservation,
    /// The part of it for the query.
    query_bytes: usize,
}

impl RequestContext {
    /// Returns the client's address and user agent.
    #[must_use]
    pub fn origin(&self) -> ClientInfo {
        actor::client_info(&self.request, &self.context.config.server.trust_proxy)
    }

    /// Returns the caller.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.identity.actor
    }

    /// Returns the caller's account.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] without a sign-in.
    pub fn require_user(&self) -> Result<Uuid, Error> {
        self.actor().user.ok_or(Error::InvalidCredentials)
    }

    /// Returns the collection of the call.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if it does not exist or is not available under this path.
    pub fn collection(&self) -> Result<&'static Collection, Error> {
        self.collection.map_or_else(
            || items::require_collection(self.path_part("collection"), Exposure::Items),
            Ok,
        )
    }

    /// Returns the item named by the path.
    #[must_use]
    pub fn item(&self) -> Which {
        Which::One(Json::from(self.path_part("id")))
    }

    /// Returns a path parameter as a key, or `None` if it is not a valid one.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<Uuid> {
        Uuid::try_parse(self.path_part(name)).ok()
    }

    /// Returns the query of the URL.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`] if it exceeds a limit.
    pub fn query(&self) -> Result<Json, Error> {
        query_string::parse(self.request.uri().query(), self.context.config.server.json_depth_max)
    }

    /// Returns one query parameter as text.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        query_string::find(self.request.uri().query(), name)
    }

    /// Returns the JSON body; `None` if there is none or its content type is not JSON.
    ///
    /// # Errors
    /// As [`body::read`] and [`body::parse`].
    pub async fn body(&mut self) -> Result<Option<Json>, Refusal> {
        let bytes = self.read().await?;
        self.parse(&bytes)
    }

    /// Returns the JSON body as this type.
    ///
    /// # Errors
    /// As [`RequestContext::body`]; [`Error::InvalidPayload`] for an invalid field.
    pub async fn object<T: Body>(&mut self) -> Result<T, Refusal> {
        Ok(T::read(&fields::object(self.body().await?)?)?)
    }

    /// Returns the JSON body as this type, without other fields.
    ///
    /// # Errors
    /// As [`RequestContext::object`]; [`Error::InvalidPayload`] for an unknown field.
    pub async fn only<T: Body>(&mut self) -> Result<T, Refusal> {
        let body = fields::object(self.body().await?)?;
        let object = T::read(&body)?;
        fields::nothing_else(&body, T::NAMES)?;
        Ok(object)
    }

    /// Reads the body. The memory is reserved for the lifetime of the call.
    async fn read(&mut self) -> Result<Bytes, Refusal> {
        let bytes_max = self.context.config.server.body_bytes_max;
        body::read(&mut self.request, bytes_max, &mut self.memory, self.query_bytes).await
    }

    fn parse(&mut self, bytes: &Bytes) -> Result<Option<Json>, Refusal> {
        let depth_max = self.context.config.server.json_depth_max;
        let kind = self.request.content_type();
        Ok(body::parse(kind, bytes, depth_max, &mut self.memory, self.query_bytes)?)
    }

    /// Returns the JSON body with item values; `None` if there is none.
    ///
    /// # Errors
    /// As [`RequestContext::body`]; [`Error::InvalidPayload`] for another content type, since its
    /// values would be lost. (If messages may be empty, such a body counts as none, as in
    /// Directus.)
    pub async fn values(&mut self) -> Result<Option<Json>, Refusal> {
        let config = &self.context.config;
        let is_lenient =
            !config.query.require_content && self.collection()?.exposure == Exposure::Items;
        let bytes = self.read().await?;
        if !is_lenient && !bytes.is_empty() {
            body::require_json(self.request.content_type())?;
        }
        self.parse(&bytes)
    }

    /// Returns the fields of a submitted form; none for another content type.
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

    /// Returns a path parameter as written; empty if there is none.
    #[must_use]
    pub fn path_part(&self, name: &str) -> &str {
        self.request.raw_path_param(name).unwrap_or_default()
    }
}

/// An operation as an endpoint.
pub struct MountedOperation {
    context: Arc<Context>,
    access: Access,
    collection: Option<&'static Collection>,
    secret: bool,
    handler: Handler,
}

impl Operation {
    /// Creates an operation without a collection, or with the collection named by its path.
    #[must_use]
    pub fn new(
        method: Method,
        path: impl Into<String>,
        access: Access,
        handler: Handler,
        docs: OperationDocs,
    ) -> Self {
        let (path, need) = (path.into(), Need::Nothing);
        Self { method, path, access, collection: None, need, secret: false, handler, docs }
    }

    /// Marks the URL or the response as containing secrets.
    #[must_use]
    pub fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// Sets the collection.
    #[must_use]
    pub fn about(self, collection: &'static Collection) -> Self {
        Self { collection: Some(collection), ..self }
    }

    /// Sets the additional requirement.
    #[must_use]
    pub fn needing(self, need: Need) -> Self {
        Self { need, ..self }
    }

    /// Returns the operation as an endpoint of this service.
    #[must_use]
    pub fn mount(&self, context: Arc<Context>) -> MountedOperation {
        let Self { access, collection, secret, handler, .. } = *self;
        MountedOperation { context, access, collection, secret, handler }
    }
}

impl MountedOperation {
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
        let call = RequestContext {
            context,
            identity,
            request,
            collection: self.collection,
            memory,
            query_bytes,
        };
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

impl Endpoint for MountedOperation {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let response = self.reply(request).await.unwrap_or_else(|refusal| refusal.respond());
        Ok(if self.secret { envelope::without_store(response) } else { response })
    }
}
