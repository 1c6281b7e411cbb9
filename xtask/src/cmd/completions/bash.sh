# Completes `cargo xtask …` and `archipelago …`. To load it: source <(cargo xtask completions bash)
_archipelago_cargo=$(complete -p cargo 2>/dev/null | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
[[ $_archipelago_cargo == _archipelago ]] && _archipelago_cargo=

_archipelago() {
  local IFS=$'\n' run=("$1") words=("${COMP_WORDS[@]:1:COMP_CWORD}")
  if [[ $1 == cargo ]]; then
    if [[ ${COMP_WORDS[1]} != xtask || $COMP_CWORD -lt 2 ]]; then
      [[ -n $_archipelago_cargo ]] && "$_archipelago_cargo" "$@"
      return
    fi
    run=(cargo --quiet xtask) words=("${words[@]:1}")
  fi
  COMPREPLY=($(compgen -W "$("${run[@]}" completions bash -- "${words[@]}" 2>/dev/null)" -- "$2"))
}
complete -o default -F _archipelago cargo archipelago
