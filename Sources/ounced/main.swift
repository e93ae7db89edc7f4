import Glibc

exit(runDaemon(CommandLine.arguments))
