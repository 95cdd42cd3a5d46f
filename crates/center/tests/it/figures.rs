//! What a certificate costs: commands to the HSM and durable commits.

use chancery_api::{Intent, Performed};

use crate::support::{World, csr};

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_one_command_and_two_commits() {
    let world = World::ready().await;
    let request = world.approved("www.example.com").await;
    let act = world.sign_intent(request).await;
    let (commands, signs, commits) = (world.line.commands(), world.signs(), world.faults.commits());
    world.perform(act).await.unwrap();
    let shown = world.center.request_show(request).await.unwrap();
    assert_eq!(shown.request.state, "done");
    assert_eq!(world.signs() - signs, 1, "SIGN commands");
    assert_eq!(world.line.commands() - commands, 1, "commands of any kind");
    assert!(world.faults.commits() - commits <= 2, "durable commits");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_certificates_of_one_decision_share_commits() {
    let world = World::ready().await;
    let mut requests = Vec::new();
    for number in 0..8 {
        requests.push(
            world
                .import(&csr(&format!("n{number}.example.com")))
                .await
                .unwrap(),
        );
    }
    world.approve("bob", &requests).await.unwrap();
    let intent = Intent::RequestSign { requests };
    let act = world.signed("carol", "carol", intent).await.unwrap();
    let (commands, commits) = (world.line.commands(), world.faults.commits());
    let Performed::Requests { requests } = world.perform(act).await.unwrap() else {
        panic!()
    };
    assert!(requests.iter().all(|detail| detail.request.state == "done"));
    assert_eq!(world.line.commands() - commands, 8);
    // One for all claims; results gather while the one before is written.
    assert!(world.faults.commits() - commits <= 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_answered_in_its_order_with_each_its_own_certificate() {
    let world = World::ready().await;
    let mut requests = Vec::new();
    for number in 0..70 {
        let csr = csr(&format!("n{number}.example.com"));
        requests.push(world.import(&csr).await.unwrap());
    }
    world.approve("bob", &requests).await.unwrap();
    let intent = Intent::RequestSign {
        requests: requests.clone(),
    };
    let act = world.signed("carol", "carol", intent).await.unwrap();
    let Performed::Requests { requests: answers } = world.perform(act).await.unwrap() else {
        panic!()
    };
    let order: Vec<_> = answers.iter().map(|detail| detail.request.request).collect();
    assert_eq!(order, requests);
    for (number, detail) in answers.iter().enumerate() {
        assert_eq!(detail.request.state, "done");
        let der = detail.der.as_ref().unwrap();
        let name = format!("n{number}.example.com");
        assert!(
            der.0.windows(name.len()).any(|part| part == name.as_bytes()),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_in_progress_at_the_same_time_share_commits() {
    const AT_ONCE: u64 = 12;
    let world = World::ready().await;
    let mut acts = Vec::new();
    for number in 0..AT_ONCE {
        let request = world.approved(&format!("n{number}.example.com")).await;
        acts.push(world.sign_intent(request).await);
    }
    let commits = world.faults.commits();
    let done = futures::future::join_all(acts.into_iter().map(|act| world.perform(act))).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let commits = world.faults.commits() - commits;
    // One by one it would be two each.
    assert!(commits < 2 * AT_ONCE, "{commits} commits");
}
