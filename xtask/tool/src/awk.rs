//! awk programs, for nodes whose own scripts may be of any version.

/// Reads scripts from one text, where a line `#: NAME` begins one and `#: end` ends the text, and replaces those of a node.
/// Nothing is written before all of it is read, and each script is replaced atomically.
pub const REPLACE_SCRIPTS: &str = "/^#: /{n=$2;if(n!~/^(node-[a-z]+|end)$/){bad=1;exit}next}{t[n]=t[n] $0 \"\\n\"}\
    END{if(bad||n!=\"end\")exit 1;for(n in t){f=\"/usr/local/sbin/\" n;printf \"%s\",t[n]>(f \".new\");\
    close(f \".new\");if(system(\"chmod 755 \" f \".new && mv \" f \".new \" f))exit 1}}";
