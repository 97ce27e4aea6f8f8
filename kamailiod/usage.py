"""The text of -h; it knows flags and nothing else."""

USAGE = """\
Usage: kamailiod [options]
Options:
    -f file      Configuration file (default: /etc/kamailio/kamailio.cfg)
    -c           Check the configuration file and its Lua script, and exit
    --cfg-print  Print the configuration file with includes and ifdefs evaluated
    -D           Stay in the foreground (-DD does the same, -DDD detaches: the default)
    -E           Log to stderr
    -e           Log in colours (with -E)
    --log-format=text|json
                 Log Kamailio's lines, or a JSON object a line
    --log-engine=json
                 The same as --log-format=json
    -d           One debug level more; may be repeated
    --debug=nr   Debug level
    -l address   Listen on [proto:]address[:port][/advertised[:port]][/name]; may be repeated,
                 proto is udp, tcp or tls, address may be a list: (eth0, 127.0.0.1)
    --http=addr:port
                 Serve metrics, health and JSON-RPC there (default: 127.0.0.1:9494),
                 --http=none turns it off
    -n nr        Number of SIP workers (default: 8)
    -m nr        Shared memory, in megabytes (default: 64)
    -A name[=value]
                 Define a preprocessor name; may be repeated
    --subst=exp, --substdef=exp, --substdefs=exp
                 Add a substitution, a define by one, a string define by one
    --loadmodule=name
                 Load a module
    --modparam=module:name:s|i:value
                 Set a module parameter, a string or an integer
    -a on|off    Whether names of the addresses it listens on count as aliases (default: on)
    --alias=[proto:]name[:port]
                 A name of this server
    --server-id=nr
                 The number of this server
    -T           No TCP
    -P file      Write the process id there
    -G file      Write the process group id there
    -u user      Run as that user
    -g group     Run as that group
    -w dir       Working directory (default: /)
    -t dir       Change the root directory to one that holds this installation, too
    -Y dir       Directory for sockets and other files of the running server
    -v, -V, --version
                 Print the version
    -I           Print more of the build
    -h, --help   This help
Accepted as Kamailio's, without effect: -b -B -K -L -M -N -O -Q -r -R -S -W -x -X
    --all-errors --atexit --domain --iuid"""
