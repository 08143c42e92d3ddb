//! The order in which ranked tasks start.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::engine::check;
use crate::engine::run::Run;
use crate::model::event::What;
use crate::model::facts::Validator;
use crate::model::inventory::ServiceId;
use crate::model::plan::{Order, Shape, Stage, Task};

/// A stage's tasks, by the voting powers that the chain itself reports where the plan knows none.
pub(super) async fn in_order(run: &Run, stage: &Stage) -> Vec<Task> {
    let mut tasks = stage.tasks.clone();
    if stage.shape != Shape::Ranked(Order::ByPowerOfChain) {
        return tasks;
    }
    let Some((validators, source)) = powers_of_chain(run).await else {
        let text = "no running node reports the voting powers; starting in the plan's order".into();
        run.emit(What::Remark { text });
        return tasks;
    };
    let power = |task: &Task| {
        let address = run.plan.target(&task.service).and_then(|target| target.address.clone());
        validators.iter().find(|one| Some(&one.address) == address.as_ref()).map_or(0, |one| one.power)
    };
    tasks.sort_by_key(|task| std::cmp::Reverse(power(task)));
    let order: Vec<ServiceId> = tasks.iter().map(|task| task.service.clone()).collect();
    run.emit(What::OrderDecided { order, source });
    tasks
}

/// The voting powers as a node reports them that this run has started.
async fn powers_of_chain(run: &Run) -> Option<(Vec<Validator>, String)> {
    let until = Instant::now() + Duration::from_secs(15);
    while Instant::now() < until {
        for target in run.plan.targets.values() {
            let Some(address) = &target.rpc else { continue };
            let ask = check::validators(&*run.transport, &target.service.host, address);
            if let Ok(Some(set)) = timeout(Duration::from_secs(2), ask).await {
                return Some((set.validators, format!("{} at height {}", target.service, set.height)));
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
    None
}
