# Completes `cargo xtask …` and `archipelago …`. To load it: cargo xtask completions fish | source
function __archipelago_complete
    set -l words (commandline -opc) (commandline -ct)
    if test "$words[1]" = cargo
        cargo --quiet xtask completions fish -- $words[3..-1] 2>/dev/null
    else
        $words[1] completions fish -- $words[2..-1] 2>/dev/null
    end
end
complete -c cargo -n '__fish_seen_subcommand_from xtask' -a '(__archipelago_complete)'
complete -c archipelago -a '(__archipelago_complete)'
