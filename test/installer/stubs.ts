/** Programs of the system that the installer calls, played by a few lines of shell each. */
export function stubs(at: {
  readonly state: string;
  readonly root: string;
}): Record<string, string> {
  const head = `#!/bin/sh\nS='${at.state}' R='${at.root}'\n`;
  const logged = (name: string) => `echo "${name} $*" >>"$S/calls"\n`;
  const quiet = (name: string) => head + logged(name);
  return {
    systemctl: head + SYSTEMCTL,
    'apt-get': head + logged('apt-get') + APT_GET,
    'dpkg-query': `${head}[ -e "$S/caddy-conffile" ] && cat "$S/caddy-conffile"\n`,
    ss: `${head}port=\${2##*:}\n[ ! -e "$S/port-$port" ] || cat "$S/port-$port"\n`,
    getent: `${head}[ "$1 $2" = 'passwd fjmcp-broker' ]\n`,
    caddy: head + logged('caddy') + CADDY,
    bwrap: head,
    // The waits between two looks at the health: nothing gets better here by waiting.
    sleep: `${head}:\n`,
    journalctl: head,
    usermod: quiet('usermod'),
    apparmor_parser: quiet('apparmor_parser'),
    'systemd-sysusers': quiet('systemd-sysusers'),
    'systemd-tmpfiles': `${quiet('systemd-tmpfiles')}mkdir -p "$R/run/fjmcp-broker/private"\n`,
    'update-ca-certificates': quiet('update-ca-certificates'),
  };
}

/**
 * Units as files that hold their state. `broken-V` in the state directory: version V fails to start;
 * `deaf-V`: the broker refuses to hand over to it; `crashing-V`: it starts, and starts again.
 */
const SYSTEMCTL = `
[ "$1" = --version ] && { echo "systemd $(cat "$S/systemd")"; exit 0; }
[ "$1" = -q ] && shift
verb=$1; shift
case $verb in show) echo "$(cat "$S/pid" 2>/dev/null || echo 0)"
  [ ! -e "$S/crashing-$(cat "$S/serving" 2>/dev/null)" ] || echo "$(date +%N)" >"$S/pid"; exit 0 ;; esac
unit=\${1:-}
serve() {
  version=$(readlink "$R/opt/fjmcp-broker/current")
  if [ -e "$S/broken-$version" ]; then
    rm -f "$S/serving"; echo failed >"$S/$unit"; return 1
  fi
  printf %s "$version" >"$S/serving"; echo active >"$S/$unit"; echo $$ >"$S/pid"
}
case $verb in
  is-active | is-failed)
    state=$(cat "$S/$unit" 2>/dev/null || echo inactive); echo "$state"
    [ "$state" = active ] ;;
  is-enabled) if [ -e "$S/enabled-$unit" ]; then echo enabled; else echo disabled; exit 1; fi ;;
  *)
    echo "systemctl $verb $unit" >>"$S/calls"
    case $verb-$unit in
      enable-*) : >"$S/enabled-$unit" ;;
      disable-*) rm -f "$S/enabled-$unit" ;;
      start-fjmcp-broker.service | restart-fjmcp-broker.service) serve ;;
      reload-fjmcp-broker.service)
        [ ! -e "$S/deaf-$(readlink "$R/opt/fjmcp-broker/current")" ] && serve ;;
      start-fjmcp-broker-backup.service) [ ! -e "$S/no-backup" ] ;;
      start-* | restart-*) [ ! -e "$S/refuses-$unit" ] && echo active >"$S/$unit" ;;
      reload-*) [ ! -e "$S/refuses-$unit" ] ;;
      stop-*) rm -f "$S/$unit"; [ "$unit" != fjmcp-broker.service ] || rm -f "$S/serving" ;;
    esac ;;
esac
`;

const APT_GET = `
[ ! -e "$S/no-packages" ] || { echo 'E: Unable to fetch some archives' >&2; exit 100; }
case " $* " in *' -s '*) echo 'Inst caddy (2.6.2-5 Debian:12)'; exit 0 ;; esac
`;

const CADDY = `
for file; do :; done
if [ "$1" = validate ] && grep -q broken "$file"; then
  echo 'Error: unrecognized directive: broken' >&2; exit 1
fi
if [ "$1" = adapt ] && grep -q 'mcp.example.org' "$file"; then
  echo '{"match":[{"host":["www.example.org","mcp.example.org"]}]}'
fi
`;
