//! From the moment there are two managers, two of them sign people, custodians and CAs.

use chancery_api::{FailureKind, Intent, RequestNumber, Role, Subject};

use crate::support::World;

const MANAGER: &[Role] = &[Role::TrustcenterManager];

async fn two_managers() -> World {
    let mut world = World::ready().await;
    world.pass(60);
    world.add_person("dave", MANAGER).await.unwrap();
    world.pass(60);
    world.new_token("erin");
    world
}

async fn one_of_two(world: &World, request: RequestNumber) {
    assert_eq!(world.state(request).await, "open");
    let why = world.center.request_why(request).await.unwrap();
    let unmet = &why.unmet[0];
    assert_eq!(unmet.code, "approval");
    assert_eq!(
        unmet.what,
        format!("request {request} has 1 of 2 approvals by a TrustCenter Manager")
    );
    assert_eq!(unmet.who, ["dave"]);
    let failure = world.approve("alice", &[request]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Blocked, "{failure:?}");
    assert_eq!(failure.unmet[0].code, "other-person");
    assert_eq!(failure.unmet[0].who, ["dave"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_takes_two() {
    let mut world = two_managers().await;
    let request = world.open_person("erin", "erin", &[Role::Auditor]).await.unwrap();
    world.approve("alice", &[request]).await.unwrap();
    one_of_two(&world, request).await;
    world.approve("dave", &[request]).await.unwrap();
    world.restart().await;
    let people = world.center.person_list().await.unwrap();
    let erin = people.iter().find(|person| person.name == "erin").unwrap();
    let mut granted = erin.granted_by.clone();
    granted.sort();
    assert_eq!(granted, ["alice", "dave"]);
    // Those who came while there was one manager go on counting.
    assert_eq!(people.len(), 5);
    assert!(world.center.warnings().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_one_of_two_approvals_has_no_rights_whatever_the_rows_say() {
    let mut world = two_managers().await;
    let request = world
        .open_person("erin", "erin", &[Role::CertificationOfficer])
        .await
        .unwrap();
    world.approve("alice", &[request]).await.unwrap();
    world
        .edit(&format!(
            "UPDATE request SET state = 'done' WHERE number = {request}"
        ))
        .await;
    let raw = world
        .ask(&format!("SELECT document FROM request WHERE number = {request}"))
        .await;
    let Subject::Person(document) = serde_json::from_slice(&raw).unwrap() else {
        panic!("no person")
    };
    let person = document.id.to_string().replace('-', "");
    let own = hex::encode(chancery_api::canonical_json(&document).unwrap());
    let evidence = chancery_agent::act_key(&mut world.token("erin"), world.local.anchors()).unwrap();
    let key = chancery_cvc::AuthenticatedRequest::parse(&evidence.key_request)
        .unwrap()
        .verify(
            &chancery_cvc::DeviceChain::parse(&evidence.chain)
                .unwrap()
                .verify(world.local.anchors(), None)
                .unwrap(),
        )
        .unwrap();
    let spki = hex::encode(key.public_key().to_spki_der().unwrap());
    world
        .edit(&format!(
            "INSERT INTO person (id, name, document, public_key, chain, key_request, request_number, created_ms) \
             VALUES (X'{person}', 'erin', X'{own}', X'{spki}', X'00', X'00', {request}, 0)"
        ))
        .await;
    world.restart().await;
    let warnings = world.center.warnings().await.unwrap();
    assert_eq!(
        warnings,
        ["person erin gives no rights: signed by 1 of 2 managers"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_takes_two() {
    let world = two_managers().await;
    let request = world.ca_request("second").await;
    world.approve("alice", &[request]).await.unwrap();
    one_of_two(&world, request).await;
    let failure = world.sign(request).await.unwrap_err();
    assert_eq!(failure.unmet[0].code, "approval");
    world.approve("dave", &[request]).await.unwrap();
    assert_eq!(world.sign(request).await.unwrap().request.state, "done");
}

async fn custodians(world: &World) -> Vec<String> {
    let view = world.center.hsm_status("hsm-a").await.unwrap();
    view.custodians
        .into_iter()
        .map(|custodian| custodian.person)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custodian_takes_two() {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    world.register_custodian("bob", &["hsm-a"]).await.unwrap();
    world.pass(60);
    world.add_person("dave", MANAGER).await.unwrap();
    world.pass(60);
    let evidence = chancery_agent::custodian_key(&mut world.token("alice"), world.local.anchors()).unwrap();
    let request = world
        .open_custodian_with("alice", &evidence, &["hsm-a"])
        .await
        .unwrap();
    world.approve("alice", &[request]).await.unwrap();
    one_of_two(&world, request).await;
    assert_eq!(custodians(&world).await, ["bob"]);
    world.approve("dave", &[request]).await.unwrap();
    assert_eq!(custodians(&world).await, ["bob", "alice"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_manager_approved_while_there_was_one_stays_approved() {
    let mut world = World::ready().await;
    let request = world.ca_request("second").await;
    world.approve("alice", &[request]).await.unwrap();
    world.pass(60);
    world.add_person("dave", MANAGER).await.unwrap();
    assert_eq!(world.sign(request).await.unwrap().request.state, "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_a_manager_in_it_leaves_everybody_with_rights() {
    let mut world = World::new().await;
    let manager = world.open_person("dave", "dave", MANAGER).await.unwrap();
    let bob = world
        .open_person("bob", "bob", &[Role::RegistrationOfficer])
        .await
        .unwrap();
    world.approve("alice", &[manager, bob]).await.unwrap();
    assert!(world.center.warnings().await.unwrap().is_empty());
    assert_eq!(world.center.person_list().await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_back_takes_no_rights_away() {
    let mut world = World::new().await;
    world.add_people().await;
    world.pass(-3600);
    world.add_person("dave", MANAGER).await.unwrap();
    world.new_token("erin");
    let request = world.open_person("erin", "erin", &[Role::Auditor]).await.unwrap();
    world.approve("alice", &[request]).await.unwrap();
    world.approve("dave", &[request]).await.unwrap();
    world.restart().await;
    assert_eq!(world.center.warnings().await.unwrap(), Vec::<String>::new());
    assert_eq!(world.center.person_list().await.unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_managers_at_the_same_time_are_two() {
    let mut world = two_managers().await;
    let request = world.open_person("erin", "erin", &[Role::Auditor]).await.unwrap();
    let intent = || Intent::RequestApprove {
        requests: vec![request],
    };
    let first = world.signed("alice", "alice", intent()).await.unwrap();
    let second = world.signed("dave", "dave", intent()).await.unwrap();
    let (first, second) = tokio::join!(world.perform(first), world.perform(second));
    first.unwrap();
    second.unwrap();
    assert_eq!(world.state(request).await, "done");
}
