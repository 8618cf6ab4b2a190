//! What the world may ask.

use crate::mta_sts::StsPolicy;
use crate::offers::Offers;
use crate::{apple, autoconfig, autodiscover};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use std::sync::Arc;
use std::time::Duration;

/// The longest question that is read.
const QUESTION: usize = 16 * 1024;
/// How long its octets may take.
const QUESTION_TIME: Duration = Duration::from_secs(10);
/// The longest token that a certificate authority makes up; real ones have 43 octets.
const TOKEN: usize = 128;

/// Gives the proof of a challenge, by its token (RFC 8555 §8.3).
pub type Challenges = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the pages for the world need to know.
#[derive(Clone)]
pub struct Site {
    /// Our name.
    pub hostname: String,
    /// Whether we are responsible for a domain, which is given in lower case.
    pub is_ours: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// The policy; `None`: none is served.
    pub policy: Option<StsPolicy>,
    /// What mail programs are told; `None`: they are told nothing.
    pub offers: Option<Offers>,
    /// What proves that a name leads to us, by token.
    pub challenge: Challenges,
}

/// The pages of a site.
pub(crate) fn router(site: Arc<Site>, tls: bool) -> Router {
    Router::new().fallback(page).with_state((site, tls))
}

async fn page(State((site, tls)): State<(Arc<Site>, bool)>, request: Request) -> Response {
    let host = host(request.headers(), request.uri());
    let path = request.uri().path().to_owned();
    if let Some(token) = path.strip_prefix("/.well-known/acme-challenge/") {
        return challenge(&site, request.method(), token);
    }
    // Outlook's paths come in any case, and so does what people type.
    match path.to_ascii_lowercase().as_str() {
        "/.well-known/mta-sts.txt" => only(&[Method::GET, Method::HEAD], request.method(), || policy(&site, &host)),
        "/mail/config-v1.1.xml" | "/.well-known/autoconfig/mail/config-v1.1.xml" => {
            only(&[Method::GET, Method::HEAD], request.method(), || {
                thunderbird(&site, &host, request.uri())
            })
        }
        "/mail.mobileconfig" => only(&[Method::GET, Method::HEAD], request.method(), || {
            profile(&site, request.uri())
        }),
        "/autodiscover/autodiscover.xml" => outlook(&site, &host, tls, request).await,
        "/autodiscover/autodiscover.json" => outlook_json(&site, request.uri()),
        lower if lower.starts_with("/autodiscover/autodiscover.json/v1.0/") => outlook_json(&site, request.uri()),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The name that was asked at: lower case, without port and dot at the end.
fn host(headers: &HeaderMap, uri: &Uri) -> String {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let name = uri.host().or(named).unwrap_or_default();
    let name = match name.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => name,
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn only(allowed: &[Method], method: &Method, answer: impl FnOnce() -> Response) -> Response {
    if allowed.contains(method) {
        return answer();
    }
    let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, names.join(", "))]).into_response()
}

fn typed(kind: &'static str, text: String) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn not_found() -> Response {
    StatusCode::NOT_FOUND.into_response()
}

/// RFC 8461 §3.3: it is the name that says whose policy is asked for.
fn policy(site: &Site, host: &str) -> Response {
    match (&site.policy, host.strip_prefix("mta-sts.")) {
        (Some(policy), Some(domain)) if (site.is_ours)(domain) => typed("text/plain; charset=utf-8", policy.text()),
        _ => not_found(),
    }
}

/// RFC 8555 §8.3
fn challenge(site: &Site, method: &Method, token: &str) -> Response {
    let sound = token.len() <= TOKEN
        && token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let proof = if sound { (site.challenge)(token) } else { None };
    match proof {
        Some(proof) => only(&[Method::GET, Method::HEAD], method, || {
            typed("application/octet-stream", proof)
        }),
        None => not_found(),
    }
}

fn thunderbird(site: &Site, host: &str, uri: &Uri) -> Response {
    let address = parameter(uri, "emailaddress").unwrap_or_default();
    let asked = domain_of(site, &address).or_else(|| {
        let domain = host.strip_prefix("autoconfig.").unwrap_or(host);
        (site.is_ours)(domain).then(|| domain.to_owned())
    });
    match (&site.offers, asked) {
        (Some(offers), Some(domain)) => typed("text/xml; charset=utf-8", autoconfig::document(&domain, offers)),
        _ => not_found(),
    }
}

fn profile(site: &Site, uri: &Uri) -> Response {
    let address = parameter(uri, "emailaddress")
        .or_else(|| parameter(uri, "email"))
        .unwrap_or_default();
    let Some((offers, domain)) = site.offers.as_ref().zip(domain_of(site, &address)) else {
        return not_found();
    };
    match apple::profile(&address, &domain, offers) {
        Some(profile) => (
            [
                (header::CONTENT_TYPE, "application/x-apple-aspen-config; charset=utf-8"),
                (
                    header::CONTENT_DISPOSITION,
                    "attachment; filename=\"mail.mobileconfig\"",
                ),
            ],
            profile,
        )
            .into_response(),
        None => not_found(),
    }
}

async fn outlook(site: &Site, host: &str, tls: bool, request: Request) -> Response {
    let Some(offers) = &site.offers else {
        return not_found();
    };
    if request.method() == Method::GET && !tls && host.strip_prefix("autodiscover.").is_some_and(|d| (site.is_ours)(d))
    {
        // Outlook asks so where it finds nobody at https, and follows only to https.
        let there = format!("https://{}/autodiscover/autodiscover.xml", site.hostname);
        return (StatusCode::FOUND, [(header::LOCATION, there)]).into_response();
    }
    if request.method() != Method::POST {
        return only(&[Method::POST], request.method(), not_found);
    }
    let body = match tokio::time::timeout(QUESTION_TIME, read(request.into_body())).await {
        Ok(Some(body)) => body,
        Ok(None) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let address = autodiscover::question(&body);
    let answer = match address.filter(|address| domain_of(site, address).is_some()) {
        Some(address) => autodiscover::answer(&address, offers),
        None => autodiscover::refusal(),
    };
    typed("text/xml; charset=utf-8", answer)
}

async fn read(body: Body) -> Option<axum::body::Bytes> {
    to_bytes(body, QUESTION).await.ok()
}

/// Newer programs ask here first where the XML is.
fn outlook_json(site: &Site, uri: &Uri) -> Response {
    if site.offers.is_none() {
        return not_found();
    }
    let protocol = parameter(uri, "protocol").unwrap_or_default();
    if protocol.eq_ignore_ascii_case("autodiscoverv1") {
        let there = format!("https://{}/autodiscover/autodiscover.xml", site.hostname);
        return Json(serde_json::json!({ "Protocol": "AutodiscoverV1", "Url": there })).into_response();
    }
    let error = serde_json::json!({
        "ErrorCode": "InvalidProtocol",
        "ErrorMessage": "Only the protocol AutodiscoverV1 is supported",
    });
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

/// The domain of an address, if it is one of ours.
fn domain_of(site: &Site, address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    let sound = !local.is_empty()
        && address.len() <= autodiscover::ADDRESS
        && !address.chars().any(|c| c.is_control() || c.is_whitespace());
    let domain = domain.to_lowercase();
    (sound && (site.is_ours)(&domain)).then_some(domain)
}

/// A parameter of the query, by its name in any case.
fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    unescaped(value)
}

/// RFC 3986 §2.1. A `+` stays one: it may be part of an address.
fn unescaped(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            octets.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).ok()
}
