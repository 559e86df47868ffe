//! Temporary.
#![allow(clippy::all, missing_docs, unreachable_pub, dead_code)]
#[path = "../tests/it/scenario.rs"]
mod scenario;
use gyre_lineage::*;
use gyre_types::*;
use scenario::*;
#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let mode = std::env::args().nth(1).unwrap();
    let url: DatabaseUrl = std::env::args().nth(2).unwrap().parse().unwrap();
    let store = match Store::open(&url).await { Ok(s) => s, Err(e) => { println!("open: {e} / {e:?}"); return; } };
    let (run, lease) = started(&store, "bulk").await;
    let base = checkpoint("base", 0, None);
    let mut seq = 0;
    for round in 0..if mode == "bulk" { 5 } else { 1000 } {
        let part = part(&format!("bulk {round}"), 12_000);
        let tasks: Vec<_> = (0..3_000).map(|n| task(round * 3000 + n, Split::Train)).collect();
        let samples = tasks.iter().flat_map(|task| (0..4).map(move |sample| (task, sample)));
        let mut c = Commit::new(run.clone(), lease.epoch, seq, 1);
        c.rollouts = (0..).zip(samples).map(|(row, (task, s))| rollout(round, task, s, &base, (&part, row))).collect();
        c.verdicts = c.rollouts.iter().map(|r| verdict_of(r, Verdict::Pass)).collect();
        c.events = vec![event(1, "rolled_out")];
        if round == 0 { c.checkpoints = vec![base.clone()]; }
        c.rollout_parts = vec![part];
        c.tasks = tasks;
        let rows = 30_000.0;
        let t = std::time::Instant::now();
        match store.commit(c).await {
            Ok(s) => seq = s,
            Err(e) => { println!("commit: {e}"); let r = store.run(&run).await.unwrap().unwrap(); println!("seq {} known {}", r.last_seq, seq); break; }
        }
        println!("{:.0} rows/s", rows / t.elapsed().as_secs_f64());
    }
    let t = std::time::Instant::now();
    println!("audit {:?} in {:?}", store.audit_rows(&run, AuditRules::default()).await.map(|f| f.len()), t.elapsed());
    let t = std::time::Instant::now();
    println!("counts {} in {:?}", store.verdict_counts(&run).await.unwrap().len(), t.elapsed());
    let t = std::time::Instant::now();
    let p = store.rollouts(&run, &RolloutFilter { round: Some(3), ..Default::default() }, None, 1000).await.unwrap();
    println!("page {} in {:?}", p.rows.len(), t.elapsed());
}
