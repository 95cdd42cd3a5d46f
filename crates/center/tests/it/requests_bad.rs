//! Requests that are refused when they come in, each with its reason.

use chancery_agent::ShownAct;
use chancery_api::{Failure, FailureKind, Intent, Subject};
use chancery_keys::{Hsm, Pool, SigningKey as _, VirtualConnect};
use std::sync::Arc;

use super::csr::{Csr, alternative_names, assembled, attribute, extension_request, oid, sequence, tlv};
use crate::support::World;

/// Content of 1.3.6.1.4.1.55555.1.
const UNKNOWN: &str = "2b0601040183b20301";

async fn refused(world: &World, csr: &[u8], reason: &str) -> Failure {
    let before = world.events().await.len();
    let failure = world.import(csr).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid, "{failure:?}");
    assert!(failure.message.contains(reason), "{reason}: {failure:?}");
    assert_eq!(world.events().await.len(), before, "nothing was recorded");
    failure
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_against_the_rules_are_refused() {
    let world = World::ready().await;
    let good = Csr::new("P-256", "www.example.com");
    let der = good.to_der();

    let mut altered = der.clone();
    let place = altered
        .windows(15)
        .position(|part| part == b"www.example.com")
        .unwrap();
    altered[place] = b'x';
    refused(&world, &altered, "not signed by the key").await;

    let mut trailing = der.clone();
    trailing.push(0);
    refused(&world, &trailing, "1 bytes follow the end").await;
    refused(&world, &der[..der.len() - 1], "not a PKCS #10 request").await;
    refused(&world, b"", "not a PKCS #10 request").await;

    let mut long = Csr::new("P-256", "www.example.com");
    long.attributes
        .push(attribute(UNKNOWN, &tlv(4, &vec![0; 65 * 1024])));
    refused(&world, &long.to_der(), "at most 65536").await;

    let names: Vec<String> = (0..101).map(|n| format!("n{n}.example.com")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut many = Csr::new("P-256", "n0.example.com");
    many.attributes = vec![extension_request(&[alternative_names(&names)])];
    refused(&world, &many.to_der(), "at most 100").await;
    many.attributes = vec![extension_request(&[alternative_names(&names[..100])])];
    world.import(&many.to_der()).await.unwrap();

    let critical = sequence(&[&oid(UNKNOWN), &[1, 1, 0xFF], &tlv(4, &[5, 0])]);
    let mut demanding = Csr::new("P-256", "www.example.com");
    demanding.attributes = vec![extension_request(&[
        alternative_names(&["www.example.com"]),
        critical,
    ])];
    refused(
        &world,
        &demanding.to_der(),
        "critical extension 1.3.6.1.4.1.55555.1",
    )
    .await;

    let mut twice = Csr::new("P-256", "www.example.com");
    twice.attributes.push(twice.attributes[0].clone());
    refused(&world, &twice.to_der(), "more than one extensionRequest").await;

    let mut nobody = Csr::new("P-256", "www.example.com");
    nobody.common_name = None;
    nobody.attributes = Vec::new();
    refused(&world, &nobody.to_der(), "names nobody").await;

    let weak = Csr::new("RSA-1024", "www.example.com");
    let failure = refused(&world, &weak.to_der(), "1024 bits, at least 2048").await;
    assert!(failure.remedy.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ignored_is_shown_to_who_approves() {
    let world = World::ready().await;
    let mut csr = Csr::new("P-256", "www.example.com");
    csr.attributes.push(attribute(UNKNOWN, &tlv(0x0C, b"please")));
    let plain = sequence(&[&oid("2b0601040183b20302"), &tlv(4, &[5, 0])]);
    csr.attributes[0] = extension_request(&[alternative_names(&["www.example.com"]), plain]);
    let request = world.import(&csr.to_der()).await.unwrap();
    let shown = world.center.request_show(request).await.unwrap();
    let Subject::Certificate(document) = shown.subject else {
        panic!("{:?}", shown.subject)
    };
    assert_eq!(document.ignored.len(), 2, "{:?}", document.ignored);
    let act = world
        .signed(
            "bob",
            "bob",
            Intent::RequestApprove {
                requests: vec![request],
            },
        )
        .await
        .unwrap();
    let lines = ShownAct::read(&act.payload.0, world.installation.id, "bob", "request-approve")
        .unwrap()
        .lines();
    for id in ["1.3.6.1.4.1.55555.1", "1.3.6.1.4.1.55555.2"] {
        assert!(
            lines
                .iter()
                .any(|line| line.contains("ignored") && line.contains(id)),
            "{lines:?}"
        );
    }
    world.perform(act).await.unwrap();
    let der = world.sign(request).await.unwrap().der.unwrap().0;
    let id = hex::decode("2b0601040183b203").unwrap();
    assert!(
        !der.windows(id.len()).any(|part| part == id),
        "it is not in the certificate"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_the_key_of_the_ca_is_refused() {
    let mut world = World::ready().await;
    let root = world.center.ca_show("root").await.unwrap().certificate.unwrap();
    let key = openssl::x509::X509::from_der(&root.0)
        .unwrap()
        .public_key()
        .unwrap();
    let spki = key.public_key_to_der().unwrap();
    world.stop().await;

    // The HSM opened outside of the node signs it: custodians who go behind the center's back.
    let connect = VirtualConnect {
        dir: world.token_dir("hsm-a"),
        at_rest: world.at_rest(),
    };
    let anchors = Arc::new(world.local.anchors().clone());
    let hsm =
        tokio::task::spawn_blocking(move || Hsm::start("hsm-a", Arc::new(connect), anchors, Arc::new(|| 0)))
            .await
            .unwrap()
            .unwrap();
    for name in ["alice", "bob"] {
        let mut token = world.token(name);
        let evidence = chancery_agent::custodian_key(&mut token, world.local.anchors()).unwrap();
        let custodian = chancery_cvc::AuthenticatedRequest::parse(&evidence.key_request).unwrap();
        let chr = custodian.request().chr().to_string();
        let drawn = hsm.challenge(&chr).await.unwrap();
        let view = chancery_api::UnlockChallengeView {
            session: drawn.session.clone(),
            hsm: "hsm-a".into(),
            chain: chancery_api::Base64(hsm.identity().chain.clone()),
            chr,
            challenge: chancery_api::Base64(drawn.challenge.to_vec()),
        };
        let signature = world.answer_to(&mut token, name, "hsm-a", &view);
        hsm.answer(&drawn.session, &signature).await.unwrap();
    }
    let pool = Arc::new(Pool::new());
    let id = chancery_api::HsmId::new(uuid::Uuid::from_bytes([1; 16]));
    pool.insert(id, hsm.clone());
    let shape = Csr::new("P-256", "www.example.com");
    let own = shape.key.public_key_to_der().unwrap();
    let mut info = shape.info();
    let place = info.windows(own.len()).position(|part| part == own).unwrap();
    info.splice(place..place + own.len(), spki.iter().copied());
    let signature = pool.signer(spki, 1, vec![id]).sign(&info).await.unwrap();
    let csr = assembled(&info, &sequence(&[&oid("2a8648ce3d040302")]), &signature);
    hsm.close("done");

    world.start().await;
    let failure = refused(&world, &csr, "for the key of the CA itself").await;
    assert!(failure.remedy.unwrap().contains("one purpose"));
}
