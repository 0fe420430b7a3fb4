from synthproxy.cli import main

main()
