//! placeholder
pub(crate) fn command(_: &[String]) -> anyhow::Result<std::process::ExitCode> {
    crate::usage("not yet")
}
