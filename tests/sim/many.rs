//! Many hosts at once.

use fleet::sim::Layout;

use crate::rig::Rig;

#[test]
fn sixty_hosts_restart_within_the_bounds_of_one() {
    let rig = Rig::new(&Layout::with(&[1; 58], 2));
    let before = rig.chain();
    let ran = rig.run("restart --coordinated --yes --blocks 1").ended(0).says("60 of 60 armed");
    rig.is_well(&before.signers, &ran.out);
}
