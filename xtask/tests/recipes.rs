//! The recipes and servers of `configs/`: a tiny model is served, trained and
//! served again, by real programs.

use std::path::Path;
use std::process::Command;

#[test]
fn a_model_that_a_recipe_trained_gives_the_answers_through_a_server() {
    #[expect(clippy::disallowed_methods, reason = "the interpreter of the tests")]
    let python = std::env::var_os("GYRE_TEST_PYTHON")
        .expect("set GYRE_TEST_PYTHON=$(.ci/python-env), or run `cargo xtask test`");
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let ended = Command::new(python)
        .arg(xtask.join("tests/recipes/loop.py"))
        .arg(xtask.join("../configs"))
        .arg("mlx_sft.py")
        .arg(folder.path().join("work"))
        .output()
        .expect("the interpreter starts");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
}
