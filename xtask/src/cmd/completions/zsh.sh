#compdef cargo archipelago
# Completes `cargo xtask …` and `archipelago …`. To load it: source <(cargo xtask completions zsh)
[[ ${_comps[cargo]} == _archipelago ]] || _archipelago_cargo=${_comps[cargo]}

_archipelago() {
  local -a run rest found
  run=($words[1]) rest=("${(@)words[2,CURRENT]}")
  if [[ $words[1] == cargo ]]; then
    if [[ $words[2] != xtask || CURRENT -lt 3 ]]; then
      [[ -n $_archipelago_cargo ]] && $_archipelago_cargo "$@"
      return
    fi
    run=(cargo --quiet xtask) rest=("${(@)words[3,CURRENT]}")
  fi
  found=("${(@f)$("${run[@]}" completions zsh -- "${rest[@]}" 2>/dev/null)}")
  compadd -- $found || _files
}
compdef _archipelago cargo archipelago
