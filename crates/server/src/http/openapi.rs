//! The OpenAPI 3.1 document, generated from the table of routes.

use std::sync::LazyLock;

use axum::{http::header, response::IntoResponse};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder,
    Required, ResponseBuilder, ResponsesBuilder,
    path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::{ObjectBuilder, Type},
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};

use super::{
    problem::ErrorType,
    routes::{Access, ROUTES, Route},
};

pub mod explorer;

/// Names of the security schemes.
const LOGIN: &str = "login";
const NODE: &str = "node";

static DOCUMENT: LazyLock<String> = LazyLock::new(|| build().to_pretty_json().unwrap_or_default());

/// `GET /openapi.json`.
pub async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

/// Builds the document.
pub fn build() -> OpenApi {
    let paths = ROUTES.iter().fold(PathsBuilder::new(), |paths, route| {
        paths.path(route.path, PathItem::new(route.method.documented(), operation(route)))
    });
    let info = InfoBuilder::new()
        .title("Emostream")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Real-time audience reactions. Errors are RFC 9457 problems; their types are listed under /errors/{name}."));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The fleet's `internal.key`."))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme(LOGIN, SecurityScheme::Http(bearer))
        .security_scheme(NODE, SecurityScheme::Http(key))
        .build();
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).build()
}

/// What a route asks of its callers. An empty alternative says that it works without.
fn security(access: Access) -> Vec<SecurityRequirement> {
    let login = || SecurityRequirement::new(LOGIN, Vec::<String>::new());
    match access {
        Access::Anyone => Vec::new(),
        Access::Optional | Access::Waiting => vec![SecurityRequirement::default(), login()],
        Access::Role(_) => vec![login()],
        Access::Node => vec![SecurityRequirement::new(NODE, Vec::<String>::new())],
    }
}

fn operation(route: &Route) -> Operation {
    let document = &route.document;
    let mut operation = OperationBuilder::new()
        .summary(Some(document.summary))
        .operation_id(Some(operation_id(route)))
        .responses(responses(route));
    for requirement in security(route.access) {
        operation = operation.security(requirement);
    }
    if !document.description.is_empty() {
        operation = operation.description(Some(document.description));
    }
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    for name in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let parameter =
            ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        operation = operation.parameter(parameter.schema(Some(text())));
    }
    for parameter in document.parameters {
        let place = if parameter.header { ParameterIn::Header } else { ParameterIn::Query };
        let built = ParameterBuilder::new()
            .name(parameter.name)
            .parameter_in(place)
            .required(Required::False)
            .description(Some(parameter.description))
            .schema(Some(text()));
        operation = operation.parameter(built);
    }
    if let Some((kind, schema)) = document.request {
        let content = ContentBuilder::new().schema(Some(schema())).build();
        let body = RequestBodyBuilder::new().content(kind, content).required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    operation.build()
}

fn responses(route: &Route) -> ResponsesBuilder {
    let (kind, schema) = route.document.answer;
    let mut good = ResponseBuilder::new().description(route.document.summary);
    if let Some(schema) = schema {
        good = good.content(kind, ContentBuilder::new().schema(Some(schema())).build());
    }
    let mut responses = ResponsesBuilder::new().response(route.document.status.to_string(), good.build());
    let errors = route.all_errors();
    let mut statuses: Vec<u16> = errors.iter().map(|kind| kind.status().as_u16()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let of_status = |kind: &&ErrorType| kind.status().as_u16() == status;
        let names: Vec<_> = errors.iter().filter(of_status).map(|kind| kind.name()).collect();
        let object = ObjectBuilder::new().schema_type(Type::Object).build();
        let content = ContentBuilder::new().schema(Some(object)).build();
        let response =
            ResponseBuilder::new().description(names.join(", ")).content("application/problem+json", content);
        responses = responses.response(status.to_string(), response.build());
    }
    responses
}

fn operation_id(route: &Route) -> String {
    let method = route.method.name().to_ascii_lowercase();
    let words = route.path.split(['/', '.', '{', '}']).filter(|word| !word.is_empty());
    words.fold(method, |id, word| format!("{id}_{word}"))
}
