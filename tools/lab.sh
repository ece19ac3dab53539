# The lab, for ./workshop: its options, and JupyterLab with the settings that the course wants.

lab_usage() {
    cat <<END
usage: $called lab [--port PORT] [--host ADDRESS] [--NAME.SETTING=VALUE ...]

The notebooks in JupyterLab, as copies of your own, until Ctrl-C.

  --port PORT             of this machine (8888, or the next free one)
  --host ADDRESS          listen there (127.0.0.1: for this machine only)
  --NAME.SETTING=VALUE    a setting of Jupyter's own, such as --ServerApp.port_retries=0
END
}

# Reads the options into `host` and `port`; a word that is none of them starts nothing.
lab_options() {
    host=127.0.0.1 port=8888 option=
    for word in "$@"; do
        case $option$word in
            --port|--host|--ip) option=$word=; continue ;;
            --port=*) port=${word#--port=} ;;
            --host=*|--ip=*) host=${word#--*=} ;;
            --[A-Z]*.*=*) ;;
            -*) misused "lab: unknown option $word (see $called lab --help)" ;;
            *) misused "lab: one word too many: $word (see $called lab --help)" ;;
        esac
        option=
    done
    [ -z "$option" ] || misused "lab: ${option%=} wants a value (see $called lab --help)"
    case $port in
        ''|*[!0-9]*|??????*) port=99999 ;;
    esac
    [ "$port" -le 65535 ] || misused "lab: --port wants a number up to 65535 (see $called lab --help)"
}

# Reached from this machine only, with the token; it asks nobody for news.
lab() {
    for word in "$@"; do  # ours are read; what is Jupyter's own goes on
        shift
        case $word in --[A-Z]*) set -- "$@" "$word" ;; esac
    done
    "$python" $flags "$here/tools/listen.py" "$host" || exit 1
    set -- --no-browser --ServerApp.answer_yes=True --ServerApp.log_level=ERROR --ip="$host" \
        --port="$port" --LabApp.log_level=ERROR --KernelManager.transport=ipc \
        --LabApp.app_settings_dir="$here/crabcan_workshop/lab/settings" \
        --LabApp.extension_manager=readonly --LabApp.news_url=None \
        --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate "$@"
    if [ "$(id -u)" = 0 ]; then
        say "as root: what you run in a notebook, root runs. The containers of the labs can do less"
        set -- --allow-root "$@"
    fi
    if [ "$flags" = -IB ]; then export PYTHONDONTWRITEBYTECODE=1; fi  # the kernels, too
    own=$("$python" $flags "$here/tools/module.py" crabcan_workshop.desk.notebooks) || exit 1
    say "starting; open the address with the token in a browser, and end with Ctrl-C"
    say "the notebooks are your own copies: $own"
    cd -- "$own"
    unset CRABCAN_CALLED  # in the lab's own terminals and notebooks other names hold
    exec "$python" $flags "$here/tools/module.py" jupyterlab "$@"
}
