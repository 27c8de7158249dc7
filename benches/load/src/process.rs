//! Resource usage of a process and its children, from `/proc`.

use std::fs;

/// The unit of CPU times in `/proc`: on Linux always a hundredth of a second.
const TICK_MICROS: u64 = 10_000;

/// CPU time and memory of a process and its children.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// CPU time since the start, in microseconds.
    pub cpu_micros: u64,
    /// Resident memory, in bytes.
    pub resident: u64,
}

impl Usage {
    /// Resident memory in MiB, rounded to hundredths.
    pub fn mebibytes(self) -> f64 {
        rounded(self.resident as f64 / f64::from(1 << 20))
    }
}

/// Rounds to hundredths.
pub fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

/// Returns the usage of a process and its children; `None` if it has ended.
pub fn usage(pid: u32) -> Option<Usage> {
    let mut whole = one(pid)?;
    for child in children(pid) {
        // A child that has just ended counts as zero.
        let used = one(child).unwrap_or_default();
        whole.cpu_micros += used.cpu_micros;
        whole.resident += used.resident;
    }
    Some(whole)
}

/// Returns the memory that the kernel holds for TCP, in KiB, for all processes of the machine.
pub fn kernel_tcp_kib() -> Option<u64> {
    let text = fs::read_to_string("/proc/net/sockstat").ok()?;
    let line = text.lines().find(|line| line.starts_with("TCP:"))?;
    // The kernel counts pages of 4 KiB.
    Some(line.split_whitespace().last()?.parse::<u64>().ok()? * 4)
}

fn one(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The process name before may contain anything, also spaces and parentheses.
    let fields: Vec<&str> = stat[stat.rfind(')')? + 2..].split(' ').collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let resident = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib = resident.split_whitespace().nth(1)?.parse::<u64>().ok()?;
    Some(Usage { cpu_micros: ticks * TICK_MICROS, resident: kib * 1024 })
}

/// Returns the descendants of a process.
fn children(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut looked_at = 0;
    while looked_at < found.len() {
        let pid = found[looked_at];
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        found.extend(
            text.unwrap_or_default().split_whitespace().filter_map(|id| id.parse::<u32>().ok()),
        );
        looked_at += 1;
    }
    found.split_off(1)
}
