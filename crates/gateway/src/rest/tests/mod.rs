//! The document is true: every address it names is answered, every real answer fits what it says.

mod samples;

use std::sync::Mutex;

use async_trait::async_trait;
use axum::{Extension, http::Request};
use chancery_api::{Base64, Failure, Hash32, Method, ReplicaStateView, SigningKeyView, SigningKeys};
use samples::{samples, to_value};
use serde_json::{Value, json, value::RawValue};
use tower::ServiceExt;
use utoipa::OpenApi;

use super::*;
use crate::Caller;

/// Answers every call with what it was given.
struct Fixed {
    reply: Value,
    calls: Mutex<Vec<(String, Value)>>,
}

#[async_trait]
impl Service for Fixed {
    async fn client(&self, key: Hash32, address: std::net::IpAddr) -> Result<Caller, Failure> {
        Ok(Caller {
            name: "build".to_owned(),
            key,
            address,
            custodian: None,
        })
    }

    async fn call(&self, _: &Caller, method: &str, params: &RawValue) -> Result<Box<RawValue>, Failure> {
        let params = serde_json::from_str(params.get()).unwrap();
        self.calls.lock().unwrap().push((method.to_owned(), params));
        Ok(serde_json::value::to_raw_value(&self.reply).unwrap())
    }
}

struct Asked {
    status: u16,
    body: Value,
    calls: Vec<(String, Value)>,
}

fn ask(reply: Value, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Asked {
    let service = Arc::new(Fixed {
        reply,
        calls: Mutex::default(),
    });
    let caller = Caller {
        name: "build".to_owned(),
        key: Hash32([7; 32]),
        address: "127.0.0.1".parse().unwrap(),
        custodian: None,
    };
    let router = router()
        .layer(Extension(caller))
        .with_state(Arc::clone(&service) as Arc<dyn Service>);
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = match body {
        Value::Null => axum::body::Body::empty(),
        body => axum::body::Body::from(body.to_string()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (status, bytes) = runtime.block_on(async {
        let answer = router.oneshot(request.body(body).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap(),
        )
    });
    let calls = service.calls.lock().unwrap().clone();
    Asked {
        status,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        calls,
    }
}

fn spec() -> Value {
    serde_json::to_value(document::Document::openapi()).unwrap()
}

const DIGEST: &str = "sha256:0707070707070707070707070707070707070707070707070707070707070707";
const LEASE: &str = "00000000-0000-4000-8000-000000000001";

/// Whether a value is what a schema says; as much of JSON Schema as the document uses.
fn fits(spec: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#/components/schemas/").unwrap();
        let found = &spec["components"]["schemas"][name];
        assert!(found.is_object(), "{name} is not in the document");
        return fits(spec, found, value, at);
    }
    if let Some(any) = schema.get("oneOf").or_else(|| schema.get("anyOf")) {
        let any = any.as_array().unwrap();
        return if any.iter().any(|one| fits(spec, one, value, at).is_ok()) {
            Ok(())
        } else {
            Err(format!("{at}: {value} is none of {any:?}"))
        };
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Err(format!("{at}: {value} is not in {allowed:?}"));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        _ => return Err(format!("{at}: no type in {schema}")),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !kinds.contains(&kind) {
        return Err(format!("{at}: {kind}, not {kinds:?}"));
    }
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            fits(spec, &schema["items"], item, &format!("{at}[{index}]"))?;
        }
    }
    if let Value::Object(members) = value {
        for (name, member) in members {
            match schema["properties"].get(name) {
                Some(schema) => fits(spec, schema, member, &format!("{at}.{name}"))?,
                None if schema.get("additionalProperties").is_some() => {}
                None => return Err(format!("{at}.{name} is not in the document")),
            }
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            if !members.contains_key(name.as_str().unwrap()) {
                return Err(format!("{at}.{name} is missing"));
            }
        }
    }
    Ok(())
}

#[test]
fn real_answers_fit_the_document_and_wrong_ones_do_not() {
    let spec = spec();
    assert_eq!(spec["openapi"], "3.1.0");
    for (name, sample) in samples() {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        fits(&spec, &schema, &sample, name).unwrap();
        let mut wrong = sample;
        wrong["surprise"] = json!(1);
        assert!(fits(&spec, &schema, &wrong, name).is_err(), "{name}");
    }
}

/// A path of the document with something in its places.
fn filled(path: &str) -> String {
    path.replace("{lease}", LEASE).replace("{digest}", DIGEST)
}

fn good_body(path: &str, method: &str) -> Value {
    match (method, path) {
        ("post", "/v1/leases") => json!({
            "signer": "firmware", "purpose": "firmware 4.2", "mechanism": "ecdsa", "digests": [DIGEST],
            "seconds": 3600
        }),
        ("post", "/v1/signatures") => json!({ "signer": "firmware", "mechanism": "ecdsa", "digest": DIGEST }),
        _ => Value::Null,
    }
}

#[test]
fn every_address_of_the_document_is_answered_as_it_says() {
    let spec = spec();
    let samples = samples();
    let mut asked = 0;
    for (path, operations) in spec["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
            let (list, inner) = match schema.get("items") {
                Some(items) => (true, items),
                None => (false, schema),
            };
            let name = inner["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            // Key domains are made of signing keys.
            let sample = if name == "KeyDomain" { "SigningKey" } else { name };
            let real: Vec<Value> = samples
                .iter()
                .filter(|(of, _)| *of == sample)
                .map(|(_, sample)| sample.clone())
                .collect();
            let reply = if list { Value::Array(real) } else { real[0].clone() };
            let body = good_body(path, method);
            let answer = ask(reply, &method.to_uppercase(), &filled(path), &[], &body);
            assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
            assert_eq!(answer.calls.len(), 1);
            fits(&spec, schema, &answer.body, path).unwrap();
            if body != Value::Null {
                let taken = &operation["requestBody"]["content"]["application/json"]["schema"];
                fits(&spec, taken, &body, path).unwrap();
                let mut wrong = body;
                wrong["surprise"] = json!(1);
                let answer = ask(Value::Null, &method.to_uppercase(), &filled(path), &[], &wrong);
                assert_eq!(answer.status, 400);
                assert!(answer.calls.is_empty());
            }
            asked += 1;
        }
    }
    assert_eq!(asked, 8);
}

#[test]
fn signing_takes_one_digest_or_many_and_an_idempotency_key() {
    let sign =
        |headers: &[(&str, &str)], body: Value| ask(json!([]), "POST", "/v1/signatures", headers, &body);
    let common = |mut more: Value| {
        more["signer"] = json!("firmware");
        more["mechanism"] = json!("rsa-pss");
        more
    };
    let one = sign(
        &[("Idempotency-Key", "build 7")],
        common(json!({ "digest": DIGEST })),
    );
    assert_eq!(
        one.calls,
        [(
            "signing.sign".to_owned(),
            json!({ "signer": "firmware", "mechanism": "rsa-pss", "digests": [DIGEST], "lease": null, "idempotency_key": "build 7" })
        )]
    );
    let many = sign(
        &[],
        common(json!({ "digests": [DIGEST, DIGEST], "lease": LEASE })),
    );
    assert_eq!(many.calls[0].1["digests"], json!([DIGEST, DIGEST]));
    assert_eq!(many.calls[0].1["lease"], LEASE);
    let long = "k".repeat(129);
    for (headers, body) in [
        (vec![], common(json!({}))),
        (vec![], common(json!({ "digest": DIGEST, "digests": [DIGEST] }))),
        (vec![], common(json!({ "digest": "sha1:00" }))),
        (
            vec![("Idempotency-Key", long.as_str())],
            common(json!({ "digest": DIGEST })),
        ),
        (
            vec![("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
            common(json!({ "digest": DIGEST })),
        ),
    ] {
        let answer = sign(&headers, body);
        assert_eq!((answer.status, answer.calls.len()), (400, 0), "{}", answer.body);
        assert_eq!(answer.body["kind"], "invalid");
    }
}

#[test]
fn what_is_in_an_address_is_checked() {
    for path in [
        "/v1/leases/nonsense",
        "/v1/leases/00000000-0000-4000-8000-000000000001?wait=x",
        "/v1/leases/00000000-0000-4000-8000-000000000001?other=1",
        "/v1/leases/00000000-0000-4000-8000-000000000001/receipts/sha1:00",
    ] {
        let answer = ask(Value::Null, "GET", path, &[], &Value::Null);
        assert_eq!((answer.status, answer.calls.len()), (400, 0), "{path}");
        assert_eq!(answer.body["kind"], "invalid", "{path}");
    }
    let path = format!("/v1/leases/{LEASE}?known=4&wait=30");
    let answer = ask(Value::Null, "GET", &path, &[], &Value::Null);
    assert_eq!(
        answer.calls,
        [(
            "lease.show".to_owned(),
            json!({ "lease": LEASE, "known": 4, "wait_seconds": 30 })
        )]
    );
}

#[test]
fn key_domains_gather_their_keys() {
    let key = |name: &str, domain: &str, hsms: &[&str]| {
        to_value(&SigningKeyView {
            name: name.into(),
            algorithm: "ec:P-256".into(),
            public_key: Base64(vec![]),
            key_id: 1,
            key_domain: domain.into(),
            certificate: None,
            replicas: hsms
                .iter()
                .map(|hsm| ReplicaStateView {
                    hsm: (*hsm).into(),
                    state: "locked".into(),
                })
                .collect(),
        })
    };
    assert_eq!(SigningKeys::NAME, "signing.keys");
    let keys = json!([
        key("one", "02", &["hsm-a", "hsm-b"]),
        key("two", "01", &["hsm-c"]),
        key("three", "02", &["hsm-b"]),
    ]);
    let answer = ask(keys, "GET", "/v1/key-domains", &[], &Value::Null);
    assert_eq!(
        answer.body,
        json!([
            { "key_domain": "01", "keys": ["two"], "hsms": ["hsm-c"] },
            { "key_domain": "02", "keys": ["one", "three"], "hsms": ["hsm-a", "hsm-b"] },
        ])
    );
}
