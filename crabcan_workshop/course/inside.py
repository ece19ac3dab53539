import json,os,subprocess,sys
print(json.dumps(subprocess.run(["sh","-c",json.load(open("/course/job.json"))["sh"]],capture_output=True,text=True).stdout))
