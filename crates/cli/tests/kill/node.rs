//! The node is killed while it works.

use crate::{campaign::Campaign, operations::Operation};

/// Rounds of each operation.
const ROUNDS: usize = 8;

#[test]
fn keys_and_copies_survive_a_node_killed_in_the_middle() {
    let seed = 0x5eed_0001;
    println!("seed {seed:#x}");
    let mut campaign = Campaign::new(seed);
    for number in 0..=ROUNDS {
        let name = format!("ca{number}");
        let algorithm = if number % 3 == 2 { "rsa:2048" } else { "ec:P-256" };
        let create = Operation::CreateCa {
            name: name.clone(),
            algorithm,
        };
        let copy = Operation::Replicate { ca: name };
        if number == 0 {
            campaign.measure(&create);
            campaign.measure(&copy);
        } else {
            campaign.round(&create);
            campaign.round(&copy);
        }
    }
    println!("{}", campaign.close());
}

#[test]
fn no_serial_is_lost_or_given_twice_by_a_node_killed_in_the_middle() {
    let seed = 0x5eed_0002;
    println!("seed {seed:#x}");
    let mut campaign = Campaign::new(seed);
    let approved = campaign.world.base.approved.clone();
    let mut waiting = approved.into_iter();
    for number in 0..=ROUNDS {
        let some = if number == 0 {
            3
        } else {
            1 + campaign.dice.below(4)
        };
        let sign = Operation::Sign {
            requests: waiting.by_ref().take(some).collect(),
        };
        if number == 0 {
            campaign.measure(&sign);
            campaign.measure(&Operation::Crl);
        } else {
            campaign.round(&sign);
            if number % 2 == 0 {
                campaign.revoke_one();
            }
            campaign.round(&Operation::Crl);
        }
    }
    // On a busy machine it takes more of them.
    for _ in 0..2 * ROUNDS {
        if !campaign.has_interrupted_enough() {
            campaign.round(&Operation::Crl);
        }
    }
    println!("{}", campaign.close());
}
