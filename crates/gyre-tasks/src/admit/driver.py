def __gyre_try__(program, entry, calls):
    namespace = {"__name__": "__main__"}
    exec(program, namespace)
    return [namespace[entry](*arguments) for arguments in calls]
