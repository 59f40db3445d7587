//! The prepared requests as a script for wrk, to show that the load generator is not what is measured.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::target::Target;

/// Writes `script`, and beside it `script.requests` with one request a line: a number that requests of one factor
/// share, the path, the authorization, the form. Both hold credentials and are for the owner only.
pub(super) fn write(
    script: &Path,
    target: &Target,
    lines: impl Iterator<Item = String>,
) -> Result<(), String> {
    let mut data = script.as_os_str().to_owned();
    data.push(".requests");
    let data = Path::new(&data);
    let written = (|| {
        let mut out = BufWriter::new(private(data)?);
        for line in lines {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        let program = SCRIPT
            .replace("@DATA@", &format!("{:?}", data.display().to_string()))
            .replace("@HOST@", &target.host)
            .replace("@PREFIX@", &target.prefix);
        private(script)?.write_all(program.as_bytes())
    })();
    written.map_err(|error: io::Error| format!("cannot write {}: {error}", script.display()))
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

// Requests of one factor stay on one thread and in their order. Answers are counted by wrk itself, which is cheaper
// than a callback: "Non-2xx or 3xx responses" must not appear.
const SCRIPT: &str = r#"-- wrk --threads 2 --connections N --duration S --script THIS_FILE http://@HOST@
local THREADS = 2
local started = 0
function setup(thread)
  thread:set("id", started)
  started = started + 1
end
local requests, sent = {}, 0
function init(args)
  for line in io.lines(@DATA@) do
    local factor, path, authorization, form = line:match("^(%d+)\t([^\t]*)\t([^\t]*)\t(.*)$")
    if tonumber(factor) % THREADS == id then
      requests[#requests + 1] = "POST @PREFIX@" .. path .. " HTTP/1.1\r\nHost: @HOST@\r\nAuthorization: "
        .. authorization .. "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: "
        .. #form .. "\r\n\r\n" .. form
    end
  end
end
function request()
  sent = sent + 1
  if sent >= #requests then wrk.thread:stop() end
  return requests[math.min(sent, #requests)]
end
"#;
